//! `DescribeConfigs`: what a topic keeps and for how long, under the names that Kafka has for it.
//!
//! All of it is read only: the gateway is configured by its file. The broker has no setting that a client needs.

use super::error_code;
use crate::kafka::wire::{Reader, WireError, Writer};
use crate::log::{Cleanup, LogConfig};
use crate::view::Topics;

/// What is asked about.
#[derive(Debug)]
pub(in crate::kafka) struct Resource<'a> {
    pub(in crate::kafka) kind: i8,
    pub(in crate::kafka) name: &'a str,
    /// Which settings; `None` is all of them.
    pub(in crate::kafka) keys: Option<Vec<&'a str>>,
}

/// The kind of resource that a topic is.
const TOPIC: i8 = 2;
/// Where a setting comes from: the configuration of the broker.
const SOURCE_BROKER_FILE: i8 = 4;

/// The type of a setting, as the protocol numbers it.
#[derive(Clone, Copy)]
enum SettingType {
    Long = 5,
    List = 7,
}

pub(in crate::kafka) fn read(mut reader: Reader<'_>, version: i16) -> Result<Vec<Resource<'_>>, WireError> {
    let resources = reader.array(3, |reader| {
        let (kind, name) = (reader.int8()?, reader.string()?);
        let keys = reader.nullable_array(1, Reader::string)?;
        reader.tags()?;
        Ok(Resource { kind, name, keys })
    })?;
    reader.boolean()?; // Synonyms.
    if version >= 3 {
        reader.boolean()?; // Documentation.
    }
    reader.tags()?;
    reader.finish()?;
    Ok(resources)
}

pub(in crate::kafka) fn write(
    writer: &mut Writer,
    version: i16,
    resources: &[Resource<'_>],
    topics: &Topics,
) {
    writer.int32(0);
    writer.array(resources, |writer, resource| {
        let view = topics.find(resource.name).filter(|_| resource.kind == TOPIC);
        let is_unknown = resource.kind == TOPIC && view.is_none();
        writer.int16(if is_unknown { error_code::UNKNOWN_TOPIC_OR_PARTITION } else { error_code::NONE });
        writer.nullable_string(None);
        writer.int8(resource.kind);
        writer.string(resource.name);
        let mut settings = view.map_or_else(Vec::new, |view| settings_of(view.config()));
        if let Some(keys) = &resource.keys {
            settings.retain(|(name, ..)| keys.contains(name));
        }
        writer.array(settings, |writer, (name, value, setting_type)| {
            writer.string(name);
            writer.nullable_string(Some(&value));
            writer.boolean(true); // Read only.
            writer.int8(SOURCE_BROKER_FILE);
            writer.boolean(false); // Not secret.
            writer.array([(); 0], |_, ()| {}); // No synonyms.
            if version >= 3 {
                writer.int8(setting_type as i8);
                writer.nullable_string(None);
            }
            writer.tags();
        });
        writer.tags();
    });
    writer.tags();
}

fn settings_of(config: &LogConfig) -> Vec<(&'static str, String, SettingType)> {
    // Kafka's word for "no bound" is -1.
    let bound = |value: u64| if value == 0 { "-1".to_owned() } else { value.to_string() };
    let policy = match config.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
    };
    vec![
        ("cleanup.policy", policy.to_owned(), SettingType::List),
        ("retention.bytes", bound(config.retention_bytes), SettingType::Long),
        ("retention.ms", bound(config.retention_ms), SettingType::Long),
        ("delete.retention.ms", config.tombstones_kept_ms.to_string(), SettingType::Long),
        ("segment.bytes", config.segment_bytes.to_string(), SettingType::Long),
    ]
}
