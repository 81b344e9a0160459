//! Container images: each a program alone in an image of its own, built by buildah from a Containerfile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::command::{Stop, run};
use super::place;
use super::programs::{Programs, pinned};

/// The image of the container that holds a pod's namespaces.
pub(crate) const SANDBOX: &str = "cluster.local/pause:1";

/// An image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What pods call it.
    pub name: String,
    /// An OCI archive.
    pub archive: PathBuf,
}

/// Makes the images that a cluster starts with, unless they are there.
pub(crate) fn build(
    stop: &Stop,
    programs: &Programs,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Image>> {
    fs::create_dir_all(place::images())?;
    [
        ("pause", SANDBOX.to_owned()),
        ("coredns", "cluster.local/coredns:1".to_owned()),
        ("nats-server", format!("docker.io/library/{}", nats()?)),
    ]
    .into_iter()
    .map(|(program, name)| {
        let archive =
            place::images().join(format!("{program}-{}.tar", programs.identity(program)?));
        if !archive.is_file() {
            say(&format!("building the image {name}"));
            let folder = place::images().join("context");
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)?;
            fs::copy(programs.path(program)?, folder.join(program))?;
            fs::write(
                folder.join("Containerfile"),
                format!("FROM scratch\nCOPY {program} /{program}\nENTRYPOINT [\"/{program}\"]\n"),
            )?;
            from_containerfile(
                stop,
                &folder.join("Containerfile"),
                &folder,
                &name,
                &archive,
            )?;
            fs::remove_dir_all(&folder)?;
        }
        Ok(Image { name, archive })
    })
    .collect()
}

/// The image of nats-server as pods name it, of the version that `tests/oracle/go.mod` pins.
pub fn nats() -> Result<String> {
    Ok(format!(
        "nats:{}",
        pinned("nats-server")?.trim_start_matches('v')
    ))
}

/// Builds an image from a Containerfile whose files lie in `context`, into an OCI archive.
pub fn from_containerfile(
    stop: &Stop,
    containerfile: &Path,
    context: &Path,
    name: &str,
    archive: &Path,
) -> Result<()> {
    let store = place::cache().join("cluster/buildah");
    let buildah = || {
        let mut command = Command::new("buildah");
        command
            // Needs neither a kernel module nor a mount of its own.
            .args(["--storage-driver", "vfs", "--root"])
            .arg(store.join("root"))
            .arg("--runroot")
            .arg(store.join("run"));
        command
    };
    run(
        stop,
        buildah()
            .args([
                "build",
                "--isolation",
                "chroot",
                "--no-cache",
                "--cni-config-dir",
            ])
            // Nothing in a build needs a network; buildah makes the folder all the same.
            .arg(store.join("cni"))
            .arg("--file")
            .arg(containerfile)
            .args(["--tag", name])
            .arg(context),
    )
    .with_context(|| format!("the image {name} can't be built"))?;
    let partial = archive.with_extension("partial");
    let _ = fs::remove_file(&partial);
    run(
        stop,
        buildah()
            .args(["push", "--quiet", name])
            .arg(format!("oci-archive:{}:{name}", partial.display())),
    )
    .with_context(|| format!("the image {name} can't be written"))?;
    fs::rename(&partial, archive)?;
    // The archive is all that is used: a store that nothing refers to would only grow.
    let _ = fs::remove_dir_all(&store);
    Ok(())
}

/// Gives an image to a node, by the socket of its containerd.
pub(crate) fn import(stop: &Stop, programs: &Programs, socket: &Path, image: &Image) -> Result<()> {
    run(
        stop,
        programs
            .command("ctr")?
            .arg("--address")
            .arg(socket)
            .args(["--namespace", "k8s.io", "images", "import", "--local"])
            .arg(&image.archive),
    )
    .map(drop)
    .with_context(|| format!("the image {} can't be imported", image.name))
}
