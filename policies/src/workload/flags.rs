//! Flags, read as Go's `flag` package and nats-server read them.

use std::ops::Range;

use super::shell::Word;

/// Flags without a value (nats-server `ConfigureOptions`, server/opts.go). `-js x` is `-js` and an argument.
const SWITCHES: &[&str] = &[
    "D",
    "DV",
    "DVV",
    "T",
    "V",
    "VV",
    "debug",
    "h",
    "help",
    "help_tls",
    "jetstream",
    "js",
    "logtime",
    "logtime_utc",
    "no_advertise",
    "s",
    "syslog",
    "t",
    "tls",
    "tlsverify",
    "trace",
    "v",
    "version",
];

/// One flag with the text of its value and where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The name without dashes.
    pub name: String,
    /// The value; empty for a switch.
    pub value: String,
    /// The value before references in it were followed.
    pub written: String,
    /// Whether `value` is what the program gets.
    pub is_known: bool,
    /// JSON pointer of the string that holds the value.
    pub pointer: String,
    /// Bytes of the value in that string; `None` where it can't be edited in place (a shell script, a reference).
    pub span: Option<Range<usize>>,
}

impl Flag {
    /// Whether the kubelet or a shell puts the value together from what can't be seen here.
    pub fn is_expanded_later(&self) -> bool {
        !self.is_known
    }

    fn of(name: &str, word: &Word, start: usize) -> Self {
        let value = word.text.get(start..).unwrap_or_default();
        // The name of a flag holds no reference, so both texts start alike.
        let written = word.written.as_deref().unwrap_or(&word.text);
        let written = written.get(start..).unwrap_or(written);
        let in_place = word.is_whole && word.written.is_none();
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            written: written.to_owned(),
            is_known: word.is_known,
            pointer: (*word.pointer).to_owned(),
            span: in_place.then_some(start..word.text.len()),
        }
    }
}

/// Go's flag syntax: `-x v`, `-x=v`, `--x v`, `--x=v`; the first word that is no flag ends it.
pub(super) fn read(words: &[Word]) -> Vec<Flag> {
    read_until(words, true)
}

/// The same of a program whose own words may stand among them.
pub(super) fn read_all(words: &[Word]) -> Vec<Flag> {
    read_until(words, false)
}

fn read_until(words: &[Word], is_strict: bool) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let name = name(&word.text).filter(|name| !name.is_empty());
        let Some(name) = name else {
            if is_strict {
                break;
            }
            continue;
        };
        if let Some((name, value)) = name.split_once('=') {
            flags.push(Flag::of(name, word, word.text.len() - value.len()));
        } else if SWITCHES.contains(&name) {
            flags.push(Flag {
                span: None,
                ..Flag::of(name, word, word.text.len())
            });
        } else if let Some(value) =
            words.next_if(|value| is_strict || self::name(&value.text).is_none())
        {
            flags.push(Flag::of(name, value, 0));
        } else if !is_strict {
            flags.push(Flag {
                span: None,
                ..Flag::of(name, word, word.text.len())
            });
        }
    }
    flags
}

/// A word without the dashes of a flag: `None` where it is none.
pub(super) fn name(word: &str) -> Option<&str> {
    word.strip_prefix("--").or_else(|| word.strip_prefix('-'))
}
