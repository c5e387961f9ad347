//! What consumers of the stream read: one event a transition.
