//! Files replaced in one step: never half written, and with the owner, the mode and the links that they had.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use rustix::io::Errno;
use thiserror::Error;

/// Why a file was not replaced. It is what it was.
#[derive(Debug, Error)]
pub enum ReplaceError {
    /// Replacing it would part it from its other names.
    #[error(
        "has {0} names (hard links), which replacing it would part; print the result and write it yourself"
    )]
    Links(u64),
    /// Its owner could not be kept.
    #[error("belongs to user {uid}, group {gid}, which the new file can't be given: {error}")]
    Owner {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
        /// Why not.
        error: io::Error,
    },
    /// Another run writes it.
    #[error("another run of natsguard writes it")]
    Busy,
    /// Anything else.
    #[error("can't be written: {0}")]
    Io(#[from] io::Error),
}

/// Replaces the content of a file. A symbolic link stays one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReplaceError> {
    let path = fs::canonicalize(path)?;
    let old = File::open(&path)?;
    match old.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(ReplaceError::Busy),
        // Where there are no locks there is nobody to wait for.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    let metadata = old.metadata()?;
    if metadata.nlink() > 1 {
        return Err(ReplaceError::Links(metadata.nlink()));
    }
    let temporary = Temporary::beside(&path)?;
    let mut file = &temporary.file;
    // Before there is anything in it: it may hold Secrets.
    keep_owner(file, &metadata)?;
    file.set_permissions(metadata.permissions())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    temporary.rename(&path)?;
    Ok(())
}

fn keep_owner(file: &File, old: &Metadata) -> Result<(), ReplaceError> {
    let (uid, gid) = (old.uid(), old.gid());
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (uid, gid) {
        return Ok(());
    }
    fchown(file, Some(uid), Some(gid)).map_err(|error| ReplaceError::Owner { uid, gid, error })
}

/// A file that has no name until it is complete, where the file system can do that.
struct Temporary {
    file: File,
    name: PathBuf,
    is_named: bool,
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        // Always the same name: what a run left behind that was killed is removed by the next one.
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".natsguard");
        let name = path.with_file_name(name);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let nameless = open(
            folder,
            OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        );
        match nameless {
            Ok(file) => Ok(Self {
                file: file.into(),
                name,
                is_named: false,
            }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                remove(&name)?;
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = open(&name, flags, Mode::RUSR | Mode::WUSR)?;
                Ok(Self {
                    file: file.into(),
                    name,
                    is_named: true,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        if !self.is_named {
            use std::os::fd::AsRawFd as _;
            remove(&self.name)?;
            let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linkat(CWD, nameless, CWD, &self.name, AtFlags::SYMLINK_FOLLOW)?;
            self.is_named = true;
        }
        fs::rename(&self.name, to)?;
        self.is_named = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_named {
            let _ = fs::remove_file(&self.name);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
