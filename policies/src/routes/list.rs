//! Where a server's list of routes is written: an array of its configuration, or a flag.

use crate::conf;
use crate::policy::{List, Place, Syntax};
use crate::workload::{Configuration, Workload};

/// More routes than any cluster has. A file of 1 MiB could hold hundred thousands, each with a fault, a place and a repair of
/// its own.
pub const MAX_ROUTES: usize = 4096;

/// The list of routes, or why there is none to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Routes {
    /// The server takes part in no cluster.
    None,
    /// The routes are not written where they can be read: where, and why.
    Opaque {
        /// The place to point at.
        place: Place,
        /// What hides them.
        detail: String,
    },
    /// They stand, or may stand, in an object that is not known.
    Unseen {
        /// The place to point at.
        place: Place,
        /// What is not known.
        detail: String,
        /// The object: `ConfigMap nats-config`.
        object: String,
    },
    /// They stand in a file whose object is not in the cluster.
    Absent {
        /// Where to point.
        place: Place,
        /// The object: `ConfigMap nats-config`.
        object: String,
    },
    /// The routes as written.
    Listed {
        /// Where the list is.
        home: Home,
        /// Each route.
        entries: Vec<Entry>,
    },
}

/// Where the list of routes is, or would be.
#[derive(Debug, Clone, PartialEq)]
pub enum Home {
    /// A list that can be edited.
    List(List, Place),
    /// A list that can't be edited in place: one in a shell script.
    Fixed(Place),
    /// There is none yet: the map of the `cluster` block, to put one into.
    Cluster(List, Place),
    /// There is none, and no block to put one into.
    Nowhere(Place),
}

impl Home {
    /// The place to point at.
    pub fn place(&self) -> &Place {
        match self {
            Self::List(_, place)
            | Self::Fixed(place)
            | Self::Cluster(_, place)
            | Self::Nowhere(place) => place,
        }
    }
}

/// One route of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The route as the server reads it. It may hold credentials.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Reads the routes that count: a flag overrides the file.
pub fn read(workload: &Workload<'_>) -> Routes {
    if let Some(flag) = workload.command.last(&["routes"]) {
        let whole = flag.span.clone();
        let place = workload.own_place(flag.pointer.clone());
        if flag.is_expanded_later() {
            return Routes::Opaque {
                place,
                detail: "--routes is put together when the container starts".to_owned(),
            };
        }
        if words(&flag.value).count() > MAX_ROUTES {
            return too_many(place);
        }
        let entries: Vec<Entry> = words(&flag.value)
            .map(|text| Entry {
                text: text.to_owned(),
                place: place.clone(),
            })
            .collect();
        let home = match whole {
            Some(span) => Home::List(
                List {
                    object: workload.id,
                    pointer: flag.pointer.clone(),
                    syntax: Syntax::Commas,
                    start: span.start,
                    end: span.end,
                    length: entries.len(),
                },
                place,
            ),
            None => Home::Fixed(place),
        };
        return Routes::Listed { home, entries };
    }
    let nowhere = workload.own_place(workload.container_pointer.clone());
    match &workload.configuration {
        Configuration::None if workload.is_clustered() => Routes::Listed {
            home: Home::Nowhere(nowhere),
            entries: Vec::new(),
        },
        Configuration::None | Configuration::Missing(_) => Routes::None,
        Configuration::Unseen(why) => Routes::Opaque {
            place: nowhere,
            detail: why.clone(),
        },
        Configuration::Elsewhere { object, why } => Routes::Unseen {
            place: nowhere,
            detail: why.clone(),
            object: object.clone(),
        },
        Configuration::Refused(path) => Routes::Opaque {
            place: nowhere,
            detail: too_often(path),
        },
        Configuration::Absent(object) => Routes::Absent {
            place: nowhere,
            object: object.clone(),
        },
        Configuration::Known { config, .. } => in_file(workload, config),
    }
}

fn too_often(path: &str) -> String {
    format!("{path} would have to be read too often")
}

fn too_many(place: Place) -> Routes {
    Routes::Opaque {
        place,
        detail: format!("there are more than {MAX_ROUTES} of them"),
    }
}

/// The words of a comma list, as nats-server's `RoutesFromStr` splits it; empty ones name nothing.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn in_file(workload: &Workload<'_>, config: &conf::Config) -> Routes {
    let nowhere = || workload.own_place(workload.container_pointer.clone());
    if let Some(error) = &config.error {
        let detail = if error.cause == conf::Cause::Limit {
            format!("the file is more than natsguard reads: {}", error.error)
        } else if workload.may_be_filled_in() {
            "the file is a template".to_owned()
        } else {
            // A server that does not start takes part in nothing.
            return Routes::None;
        };
        let place = workload.error_place(error).unwrap_or_else(nowhere);
        return Routes::Opaque { place, detail };
    }
    // What is not written here may be written there.
    let unseen = || {
        let place = nowhere();
        match (workload.refused_file(), config.unknown_includes.first()) {
            (Some(path), _) => Some(Routes::Opaque {
                place,
                detail: too_often(path),
            }),
            (None, Some(path)) => Some(Routes::Unseen {
                place,
                detail: format!(
                    "the included file {path} {}",
                    workload.bundle.unseen("ConfigMap", "")
                ),
                object: format!("the object that holds {path}"),
            }),
            (None, None) => None,
        }
    };
    let Some(cluster) = config.root.find(&["cluster"]) else {
        if let Some(unseen) = unseen() {
            return unseen;
        }
        return if workload.is_clustered() {
            Routes::Listed {
                home: Home::Nowhere(nowhere()),
                entries: Vec::new(),
            }
        } else {
            Routes::None
        };
    };
    let opaque = |origin: &conf::Origin, path: &str, detail: &str| Routes::Opaque {
        place: workload.place(origin, path).unwrap_or_else(nowhere),
        detail: detail.to_owned(),
    };
    if cluster.origin.variable {
        return opaque(&cluster.origin, "cluster", "cluster comes from a variable");
    }
    let Some(map) = cluster.as_map() else {
        return opaque(&cluster.origin, "cluster", "cluster is not a block");
    };
    let is_template = || is_template(workload, &cluster.origin);
    if *config.is_template.get_or_init(is_template) {
        return opaque(&cluster.origin, "cluster", "the file is a template");
    }
    let list = |origin: &conf::Origin, length| {
        workload.source(origin).map(|source| List {
            object: source.object,
            pointer: source.pointer.clone(),
            syntax: Syntax::Array,
            start: origin.span.start,
            end: origin.span.end,
            length,
        })
    };
    let Some(routes) = map.find(&["routes"]) else {
        if let Some(unseen) = unseen() {
            return unseen;
        }
        if !workload.is_clustered() {
            return Routes::None;
        }
        let home = list(&cluster.origin, 0)
            .zip(workload.place(&cluster.origin, "cluster"))
            .map_or_else(
                || Home::Nowhere(nowhere()),
                |(list, place)| Home::Cluster(list, place),
            );
        return Routes::Listed {
            home,
            entries: Vec::new(),
        };
    };
    let path = "cluster.routes";
    if routes.origin.variable {
        return opaque(&routes.origin, path, "routes comes from a variable");
    }
    let Some(values) = routes.as_array() else {
        return opaque(&routes.origin, path, "routes is not an array");
    };
    if values.len() > MAX_ROUTES {
        return too_many(workload.place(&routes.origin, path).unwrap_or_else(nowhere));
    }
    let mut entries = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if value.origin.variable {
            return opaque(&value.origin, &path, "a route comes from a variable");
        }
        let Some(text) = value.as_str() else {
            return opaque(&value.origin, &path, "a route is not a string");
        };
        let Some(place) = workload.place(&value.origin, &path) else {
            continue;
        };
        entries.push(Entry {
            text: text.to_owned(),
            place,
        });
    }
    let home = list(&routes.origin, values.len())
        .zip(workload.place(&routes.origin, path))
        .map_or_else(
            || Home::Nowhere(nowhere()),
            |(list, place)| Home::List(list, place),
        );
    Routes::Listed { home, entries }
}

/// Whether the file is filled in by something before the server reads it. Subject mappings have `{{wildcard(1)}}` in their
/// quoted strings, so quotes count inside the `cluster` block only.
fn is_template(workload: &Workload<'_>, origin: &conf::Origin) -> bool {
    let Some(text) = workload.text(origin) else {
        return false;
    };
    let has_marker = |text: &[u8]| text.windows(2).any(|pair| matches!(pair, b"{{" | b"${"));
    // Nearly every file has none, and looking is cheaper than reading.
    if !has_marker(text) {
        return false;
    }
    let document = conf::Document::parse(text);
    let is_bare = |kind| {
        use conf::TokenKind::{BareString, IncludePath, Key, Variable};
        matches!(kind, BareString | IncludePath | Key | Variable)
    };
    text.get(origin.span.clone()).is_some_and(conf::is_template)
        || document
            .tokens()
            .iter()
            .any(|token| is_bare(token.kind()) && has_marker(document.bytes(token)))
}
