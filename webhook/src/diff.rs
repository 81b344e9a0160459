//! What a repair changed, as a unified diff: what `patch` and `git apply` take.

use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use similar::TextDiff;

use crate::manifest::Manifest;
use crate::mask;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A diff, and which lines it shows.
pub struct Diff<'a> {
    lines: TextDiff<'a, 'a, str>,
}

impl<'a> Diff<'a> {
    /// From one text to another.
    pub fn new(before: &'a str, after: &'a str) -> Self {
        // Not what ends a line elsewhere: to `patch` a lone carriage return is a character like others.
        let lines = |text: &'a str| text.split_inclusive('\n').collect::<Vec<_>>();
        Self {
            lines: TextDiff::configure()
                .newline_terminated(true)
                .diff_slices(&lines(before), &lines(after)),
        }
    }

    /// Whether it would show a value of a Secret. The texts are those of the manifests.
    pub fn shows_secrets(&self, before: &Manifest, after: &Manifest) -> bool {
        // From 1, as lines are counted.
        let shift = |range: Range<usize>| range.start + 1..range.end + 1;
        self.lines.grouped_ops(CONTEXT).iter().flatten().any(|op| {
            mask::hold_secrets(before, shift(op.old_range()))
                || mask::hold_secrets(after, shift(op.new_range()))
        })
    }

    /// The diff of a file for `patch -p0` and `git apply`, in its folder or above it.
    pub fn of_file(&self, path: &Path) -> Vec<u8> {
        let name = quoted(path);
        let mut out = Vec::new();
        for sign in ["--- ", "+++ "] {
            out.extend_from_slice(sign.as_bytes());
            out.extend_from_slice(&name);
            out.push(b'\n');
        }
        for hunk in self
            .lines
            .unified_diff()
            .context_radius(CONTEXT)
            .iter_hunks()
        {
            out.extend_from_slice(hunk.to_string().as_bytes());
        }
        out
    }

    /// The diff for people: the changed lines only.
    pub fn of_lines(&self, name: &str) -> String {
        let mut out = format!("--- {name}\n+++ {name}\n");
        for hunk in self.lines.unified_diff().context_radius(0).iter_hunks() {
            let _ = write!(out, "{hunk}");
        }
        out
    }
}

/// A path as the head of a diff names it.
///
/// `git apply` leaves out the first part of a path that has several, `patch -p0` none: `./` is right for both. Both refuse
/// paths that lead out of the folder they are run in.
fn quoted(path: &Path) -> Vec<u8> {
    let inside = env::current_dir().ok();
    let path = inside
        .and_then(|folder| path.strip_prefix(folder).ok())
        .unwrap_or(path);
    let bytes = path
        .strip_prefix(".")
        .unwrap_or(path)
        .as_os_str()
        .as_bytes();
    let name: Cow<'_, [u8]> = if bytes.starts_with(b"/") || bytes.starts_with(b"../") {
        bytes.into()
    } else {
        [b"./", bytes].concat().into()
    };
    let is_special = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'"' | b'\\');
    if !name.iter().any(is_special) {
        let mut name = name.into_owned();
        // A blank would end the name, but for a tab.
        if name.contains(&b' ') {
            name.push(b'\t');
        }
        return name;
    }
    let mut quoted = vec![b'"'];
    for byte in name.iter() {
        if is_special(byte) {
            quoted.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        } else {
            quoted.push(*byte);
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_is_quoted_as_git_and_patch_read_it() {
        let quoted = |path: &[u8]| quoted(Path::new(OsStr::from_bytes(path)));
        assert_eq!(quoted(b"nats.yaml"), b"./nats.yaml");
        assert_eq!(quoted(b"./deploy/nats.yaml"), b"./deploy/nats.yaml");
        assert_eq!(quoted(b"my nats.yaml"), b"./my nats.yaml\t");
        assert_eq!(quoted(b"n\xff\".yaml"), b"\"./n\xff\\042.yaml\"");
        assert_eq!(quoted(b"/srv/nats.yaml"), b"/srv/nats.yaml");
        let here = env::current_dir().unwrap().join("nats.yaml");
        assert_eq!(quoted(here.as_os_str().as_bytes()), b"./nats.yaml");
    }

    #[test]
    fn lines_end_with_a_line_feed_only() {
        let diff = Diff::new("a\rb\r\nc\r\n", "a\rb\r\nd");
        assert_eq!(
            String::from_utf8(diff.of_file(Path::new("x"))).unwrap(),
            "--- ./x\n+++ ./x\n@@ -1,2 +1,2 @@\n a\rb\r\n-c\r\n+d\n\\ No newline at end of file\n"
        );
    }
}
