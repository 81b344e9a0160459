//! Which containers of a pod are NATS servers, and how that is known.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::command::CommandLine;
use super::mounts::{Mount, mount_of};
use super::server::{self, IMAGE_CONFIGS, IMAGES};
use crate::json;

/// What makes a container a NATS server, what says most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// It runs the program.
    Program,
    /// Its image is one of a server.
    Image,
    /// Its flags are those of a server.
    Flags,
    /// It passes a file with `-c`, of no other format by its name; the file has to be a nats.conf.
    File,
    /// A file is mounted where a server looks by itself; it has to be a nats.conf.
    DefaultFile,
}

impl Evidence {
    /// Whether the file that it reads has to be a nats.conf to make it a server.
    pub(super) const fn needs_nats_conf(self) -> bool {
        matches!(self, Self::File | Self::DefaultFile)
    }
}

/// A container that may be a server.
pub(super) struct Candidate<'a> {
    pub evidence: Evidence,
    pub container: &'a Value,
    pub pointer: String,
    pub command: CommandLine,
}

/// The containers of a pod's `spec` that may be servers, in its order: init containers that stay (`restartPolicy: Always`)
/// stand after the others.
pub(super) fn candidates<'a>(pod: &'a Value, pointer: &str) -> Vec<Candidate<'a>> {
    let stays = |container: &Value| json::text(container, &["restartPolicy"]) == Some("Always");
    let files = OnceCell::new();
    let mut candidates = Vec::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in json::items(pod, &[field]).iter().enumerate() {
            if field == "initContainers" && !stays(container) {
                continue;
            }
            let pointer = format!("{pointer}/{field}/{index}");
            let command = CommandLine::read(container, &pointer, server::is_program);
            if let Some(evidence) = evidence(pod, &files, container, &command) {
                candidates.push(Candidate {
                    evidence,
                    container,
                    pointer,
                    command,
                });
            }
        }
    }
    // A program says more than the image of a helper beside it, and both more than a file that a helper reads as well.
    let best = candidates.iter().map(|candidate| candidate.evidence).min();
    candidates.retain(|candidate| match best {
        Some(Evidence::Program) => {
            candidate.evidence == Evidence::Program
                || candidate.evidence < Evidence::File && !candidate.command.hidden
        }
        Some(Evidence::Image | Evidence::Flags) => candidate.evidence < Evidence::File,
        Some(Evidence::File | Evidence::DefaultFile) | None => true,
    });
    // An image of somebody's own may start its server with more than the flags that are seen.
    for candidate in &mut candidates {
        candidate.command.hidden |= candidate.evidence == Evidence::Flags;
    }
    candidates
}

fn evidence<'a>(
    pod: &'a Value,
    files: &OnceCell<BTreeSet<&'a str>>,
    container: &Value,
    command: &CommandLine,
) -> Option<Evidence> {
    let program = command.program.as_deref().unwrap_or_default();
    if server::is_program(program) {
        return (!command.is_ending()).then_some(Evidence::Program);
    }
    let image = json::text(container, &["image"]).unwrap_or_default();
    if server::is_tool(program) || server::is_tool_image(image) {
        return None;
    }
    let is_image = IMAGES.contains(&server::image_name(image));
    if is_image {
        return (command.hidden || !command.is_ending()).then_some(Evidence::Image);
    }
    if command.has_telling_flags() {
        return Some(Evidence::Flags);
    }
    if let Some(flag) = command.last(&["c", "config"]) {
        return server::may_be_nats_conf(&flag.value).then_some(Evidence::File);
    }
    let (_, mount) = mounted_default(container)?;
    let files = files.get_or_init(|| volumes_with_files(pod));
    files
        .contains(mount.volume)
        .then_some(Evidence::DefaultFile)
}

/// The first of the images' own configuration paths on which something is mounted.
pub(super) fn mounted_default(container: &Value) -> Option<(&'static str, Mount<'_>)> {
    let mut paths = IMAGE_CONFIGS.iter();
    paths.find_map(|path| Some((*path, mount_of(container, path)?)))
}

/// The volumes of a pod that hold files of objects.
fn volumes_with_files(pod: &Value) -> BTreeSet<&str> {
    let holds_files = |volume: &&Value| {
        let mut sources = ["configMap", "secret", "projected"].iter();
        sources.any(|source| json::get(volume, &[source]).is_some())
    };
    let volumes = json::items(pod, &["volumes"]).iter();
    volumes
        .filter(holds_files)
        .filter_map(|volume| json::text(volume, &["name"]))
        .collect()
}

/// Whether a pod's `spec` may run a NATS server, as far as that shows without the files that it mounts:
/// [`discover`](super::discover) finds none in a pod that may not.
pub fn may_run_server(pod: &Value) -> bool {
    !candidates(pod, "").is_empty()
}

/// Whether a container of a pod's `spec` tells the server when its file changes.
pub fn has_reloader(pod: &Value) -> bool {
    let containers = ["containers", "initContainers"].map(|field| json::items(pod, &[field]));
    containers.into_iter().flatten().any(|container| {
        let command = CommandLine::read(container, "", |name| name.contains("reloader"));
        let image = json::text(container, &["image"]).unwrap_or_default();
        command.program.unwrap_or_default().contains("reloader")
            || server::image_name(image).contains("reloader")
    })
}
