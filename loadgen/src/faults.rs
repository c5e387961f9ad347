//! What can go wrong, and how much of it: kinds of faults and their amounts. [`plan`] draws who is struck when.

use std::fmt;

pub mod plan;

pub use plan::{Action, FaultPlan, Step, TooManyFaults};

/// What can be done to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FaultKind {
    /// Stops for good, without a word.
    Kill,
    /// Stops for longer than the failed timeout, then goes on in the same incarnation.
    Pause,
    /// Stops and starts again within an interval, in a new incarnation.
    Restart,
    /// Says goodbye.
    Leave,
    /// Beats through another relay. No fault at all, and so nothing may be reported.
    Move,
    /// Stops beating for longer than the failed timeout but answers pings: suspect, and never failed.
    Mute,
    /// Says for a while that it is degraded.
    Degrade,
}

impl FaultKind {
    /// All kinds, in order.
    pub const ALL: [Self; 7] =
        [Self::Kill, Self::Pause, Self::Restart, Self::Leave, Self::Move, Self::Mute, Self::Degrade];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Leave => "leave",
            Self::Move => "move",
            Self::Mute => "mute",
            Self::Degrade => "degrade",
        })
    }
}

/// How many nodes a kind of fault strikes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    /// This share of the fleet, from 0 to 1: rounded, but at least one node unless the share is 0.
    Share(f64),
    /// So many nodes.
    Count(u32),
}

impl Amount {
    /// Nobody.
    pub const NONE: Self = Self::Share(0.0);

    /// How many of this many nodes.
    #[must_use]
    pub fn of(self, nodes: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Share(share) if share <= 0.0 => 0,
            Self::Share(share) => {
                let exact = (f64::from(nodes) * share).round().clamp(1.0, f64::from(nodes));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 1 and nodes"
                )]
                let count = exact as u32;
                count
            }
        }
    }
}

/// How much of each kind.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaultOptions {
    /// [`FaultKind::Kill`].
    pub kill: Amount,
    /// [`FaultKind::Pause`].
    pub pause: Amount,
    /// [`FaultKind::Restart`].
    pub restart: Amount,
    /// [`FaultKind::Leave`].
    pub leave: Amount,
    /// [`FaultKind::Move`].
    pub moves: Amount,
    /// [`FaultKind::Mute`].
    pub mute: Amount,
    /// [`FaultKind::Degrade`].
    pub degrade: Amount,
    /// Nodes that are killed together, beside those of `kill`.
    pub mass: MassKill,
}

/// Kills at one moment of nodes that have something in common.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MassKill {
    /// So many whole racks, each at a moment of its own.
    pub racks: u32,
    /// This share of the first zone's nodes, from 0 to 1, all at one moment.
    pub zone_share: f64,
}

impl MassKill {
    /// Nobody.
    pub const NONE: Self = Self { racks: 0, zone_share: 0.0 };

    /// Whether anybody is killed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl FaultOptions {
    /// No faults.
    pub const NONE: Self = Self {
        kill: Amount::NONE,
        pause: Amount::NONE,
        restart: Amount::NONE,
        leave: Amount::NONE,
        moves: Amount::NONE,
        mute: Amount::NONE,
        degrade: Amount::NONE,
        mass: MassKill::NONE,
    };

    /// How much of this kind.
    #[must_use]
    pub const fn amount(&self, kind: FaultKind) -> Amount {
        match kind {
            FaultKind::Kill => self.kill,
            FaultKind::Pause => self.pause,
            FaultKind::Restart => self.restart,
            FaultKind::Leave => self.leave,
            FaultKind::Move => self.moves,
            FaultKind::Mute => self.mute,
            FaultKind::Degrade => self.degrade,
        }
    }

    /// The kinds that strike at least one of this many nodes.
    pub fn kinds(&self, nodes: u32) -> impl Iterator<Item = FaultKind> + '_ {
        let strikes = move |&kind: &FaultKind| {
            self.amount(kind).of(nodes) > 0 || kind == FaultKind::Kill && !self.mass.is_none()
        };
        FaultKind::ALL.into_iter().filter(strikes)
    }
}

/// One in a hundred killed, one in two hundred paused and restarted, three leave.
impl Default for FaultOptions {
    fn default() -> Self {
        Self {
            kill: Amount::Share(0.01),
            pause: Amount::Share(0.005),
            restart: Amount::Share(0.005),
            leave: Amount::Count(3),
            ..Self::NONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_fleets_and_fractions() {
        assert_eq!(Amount::Share(0.005).of(20), 1, "not zero: the fault was asked for");
        assert_eq!(Amount::Share(0.0).of(20_000), 0);
        assert_eq!(Amount::Share(0.0125).of(1_000), 13);
        assert_eq!(Amount::Share(1.0).of(7), 7);
        assert_eq!(Amount::Count(3).of(1_000_000), 3);
    }

    #[test]
    fn kinds_that_strike_nobody_are_left_out_and_a_mass_kill_is_a_kill() {
        let mass = MassKill { racks: 1, ..MassKill::NONE };
        let options = FaultOptions { mass, mute: Amount::Count(1), ..FaultOptions::NONE };
        assert_eq!(options.kinds(100).collect::<Vec<_>>(), [FaultKind::Kill, FaultKind::Mute]);
        assert_eq!(FaultOptions::NONE.kinds(100).count(), 0);
    }
}
