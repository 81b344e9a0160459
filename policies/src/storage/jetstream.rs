//! JetStream's own settings, read as nats-server reads them.

use crate::conf;
use crate::policy::Place;
use crate::workload::mounts::clean;
use crate::workload::{Configuration, Variable, Workload};

/// The directory that nats-server puts below `store_dir` (server/jetstream.go `JetStreamStoreDir`).
const SUBDIRECTORY: &str = "jetstream";

/// Where the store is when nothing says so: below `$TMPDIR`, or this (server/jetstream.go `dynJetStreamConfig`).
const TEMPORARY: &str = "/tmp";

/// Whether JetStream runs.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It does not.
    Off,
    /// The configuration can't be seen, so it may.
    Unseen,
    /// It does.
    On(Box<JetStream>),
}

/// A running JetStream.
#[derive(Debug, Clone, PartialEq)]
pub struct JetStream {
    /// Where it is switched on.
    pub place: Place,
    /// Where the store is.
    pub directory: Directory,
    /// `max_memory_store`.
    pub memory: Limit,
    /// `max_file_store`.
    pub file: Limit,
}

/// The directory of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// No `store_dir`: this one below the temporary directory.
    Default(String),
    /// The directory that is written to, cleaned: `store_dir` and the directory the server makes in it.
    Path(String),
    /// It comes from a variable whose value is not known, or is relative to the image's working directory.
    Unseen,
}

impl Directory {
    /// The directory as a path in the container, where it is known.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Default(path) | Self::Path(path) => Some(path),
            Self::Unseen => None,
        }
    }
}

/// A limit of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// Not set: the server takes a share of what the node has.
    Unset,
    /// Set to a negative number, which means the same.
    Dynamic(Place),
    /// So many bytes; 0 is really none.
    Bytes(i64, Place),
    /// It is no size that the server takes: `"10Gi"` in quotes, say.
    Invalid(Place),
    /// It comes from a variable, or an include that can't be seen may set it.
    Unseen,
}

/// Reads JetStream's settings.
pub fn read(workload: &Workload<'_>) -> State {
    if workload.is_streaming {
        return State::Off;
    }
    let flag = workload.command.last(&["js", "jetstream"]);
    let by_flag = workload.command.is_on(&["js", "jetstream"]);
    if flag.is_some() && !by_flag {
        return State::Off;
    }
    let directory_flag = workload.command.last(&["sd", "store_dir"]);
    let nothing = conf::Map::default();
    let (values, is_whole) = match &workload.configuration {
        Configuration::None => (&nothing, true),
        Configuration::Known { config, .. } if config.error.is_none() => {
            (&config.root, config.unknown_includes.is_empty())
        }
        // The flags count whatever the file says.
        _ if by_flag => (&nothing, false),
        _ => return State::Unseen,
    };
    let block = values.find(&["jetstream"]);
    let by_file = match block.map(|value| &value.kind) {
        Some(conf::Kind::Bool(on)) => *on,
        Some(conf::Kind::String(word)) => {
            matches!(word.to_ascii_lowercase().as_str(), "enabled" | "enable")
        }
        Some(conf::Kind::Map(map)) => {
            map.find(&["enable", "enabled"])
                .and_then(conf::Value::as_bool)
                != Some(false)
        }
        Some(conf::Kind::Null) => return State::Unseen,
        None | Some(_) => false,
    };
    if !by_flag && !by_file {
        return if is_whole || block.is_some() {
            State::Off
        } else {
            State::Unseen
        };
    }
    let place = block
        .and_then(|block| workload.place(&block.origin, "jetstream"))
        .unwrap_or_else(|| workload.own_place(workload.container_pointer.clone()));
    let map = block.and_then(conf::Value::as_map).unwrap_or(&nothing);
    let directory = match directory_flag {
        Some(flag) if flag.is_expanded_later() => Directory::Unseen,
        Some(flag) => directory(workload, &flag.value),
        None => map
            .find(&["store_dir", "storedir", "store"])
            .or_else(|| values.find(&["store_dir", "storedir"]))
            .map_or(
                if is_whole {
                    default_directory(workload)
                } else {
                    Directory::Unseen
                },
                |value| {
                    let text = value.as_str();
                    text.map_or(Directory::Unseen, |text| directory(workload, text))
                },
            ),
    };
    let limit = |names: &[&str], name: &str| match map.find(names) {
        None if is_whole => Limit::Unset,
        None => Limit::Unseen,
        Some(value) => {
            let place = workload
                .place(&value.origin, &format!("jetstream.{name}"))
                .unwrap_or_else(|| place.clone());
            match conf::storage_size(value) {
                Ok(bytes) if bytes < 0 => Limit::Dynamic(place),
                Ok(bytes) => Limit::Bytes(bytes, place),
                Err(_) if matches!(value.kind, conf::Kind::Null) || value.origin.variable => {
                    Limit::Unseen
                }
                Err(_) => Limit::Invalid(place),
            }
        }
    };
    State::On(Box::new(JetStream {
        memory: limit(
            &["max_memory_store", "max_mem_store", "max_mem"],
            "max_memory_store",
        ),
        file: limit(&["max_file_store", "max_file"], "max_file_store"),
        place,
        directory,
    }))
}

fn directory(workload: &Workload<'_>, text: &str) -> Directory {
    if text.is_empty() {
        return default_directory(workload);
    }
    let path = workload.command.absolute(text);
    path.map_or(Directory::Unseen, |path| {
        Directory::Path(clean(&format!("{path}/{SUBDIRECTORY}")))
    })
}

fn default_directory(workload: &Workload<'_>) -> Directory {
    let temporary = match workload.command.variable("TMPDIR") {
        Variable::Unset | Variable::Known("") => TEMPORARY.to_owned(),
        Variable::Known(path) => match workload.command.absolute(path) {
            Some(path) => path,
            None => return Directory::Unseen,
        },
        Variable::Unknown => return Directory::Unseen,
    };
    Directory::Default(clean(&format!("{temporary}/nats/{SUBDIRECTORY}")))
}
