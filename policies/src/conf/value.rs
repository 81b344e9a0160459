//! Values as nats-server reads them, each with the place it comes from.

use super::lexer;
use super::text;
use std::ops::Range;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What the value is.
    pub kind: Kind,
    /// Where it stands.
    pub origin: Origin,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A variable that only the server's environment could tell.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number, its size suffix applied.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text. A byte that is no UTF-8 is shown as one U+FFFD.
    String(String),
    /// A moment, as `2006-01-02T15:04:05Z`.
    Datetime(String),
    /// A list.
    Array(Vec<Value>),
    /// Keys with values.
    Map(Map),
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Index into [`Config::files`](super::Config::files).
    pub file: usize,
    /// The bytes of the value in that file, quotes and brackets included.
    pub span: Range<usize>,
    /// The value came through a `$VARIABLE`; the span is then that of the reference, also for what is inside the value.
    pub variable: bool,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrigin {
    /// Index into [`Config::files`](super::Config::files).
    pub file: usize,
    /// The bytes of the key in that file, quotes included.
    pub span: Range<usize>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    key: String,
    /// The key's bytes where they are no UTF-8: such keys differ even when they are shown alike.
    raw: Option<Box<[u8]>>,
    /// Where the key stands.
    pub origin: KeyOrigin,
    /// The value.
    pub value: Value,
}

impl Entry {
    pub(super) fn new(key: &[u8], origin: KeyOrigin, value: Value) -> Self {
        match std::str::from_utf8(key) {
            Ok(key) => Self {
                key: key.to_owned(),
                raw: None,
                origin,
                value,
            },
            Err(_) => Self {
                key: text::shown(key),
                raw: Some(key.into()),
                origin,
                value,
            },
        }
    }

    /// The key; a byte that is no UTF-8 is shown as one U+FFFD.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key's bytes.
    pub fn raw_key(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.key.as_bytes())
    }
}

/// Keys with values, in the order of the file. Of a key given twice, only the last stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    entries: Vec<Entry>,
    /// The entries by key, for maps that are too large to search one by one.
    sorted: Box<[u32]>,
}

/// The largest number of keys that are searched one by one.
const SMALL: usize = 12;

impl Map {
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        let mut sorted = Box::default();
        if entries.len() <= SMALL {
            let mut index = 0;
            while let Some((entry, later)) = entries.get(index..).and_then(<[Entry]>::split_first) {
                if later.iter().any(|other| other.raw_key() == entry.raw_key()) {
                    entries.remove(index);
                } else {
                    index += 1;
                }
            }
        } else {
            sorted = sort(&entries);
            if sorted.len() < entries.len() {
                let mut keep = vec![false; entries.len()];
                for index in &sorted {
                    if let Some(keep) = keep.get_mut(*index as usize) {
                        *keep = true;
                    }
                }
                let mut keep = keep.into_iter();
                entries.retain(|_| keep.next().unwrap_or(true));
                sorted = sort(&entries);
            }
        }
        Self { entries, sorted }
    }

    /// The value of exactly this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of exactly this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        if self.sorted.is_empty() {
            return self
                .entries
                .iter()
                .find(|entry| entry.raw_key() == key.as_bytes());
        }
        let key_at = |index: u32| self.entries.get(index as usize).map(Entry::raw_key);
        let found = self
            .sorted
            .binary_search_by(|index| key_at(*index).cmp(&Some(key.as_bytes())))
            .ok()?;
        self.entries.get(*self.sorted.get(found)? as usize)
    }

    /// The value of an option under any of its names (lower-case), matched as nats-server does: in any case.
    ///
    /// nats-server applies every spelling it finds, in random order; of several the one defined last is given here.
    pub fn find(&self, names: &[&str]) -> Option<&Value> {
        self.find_entry(names).map(|entry| &entry.value)
    }

    /// As [`find`](Self::find), with the key.
    pub fn find_entry(&self, names: &[&str]) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| {
            names
                .iter()
                .any(|name| text::lowers_to(entry.raw_key(), name))
        })
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.entries.iter().map(|entry| (entry.key(), &entry.value))
    }

    /// The entries in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of keys.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The map as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter()
            .map(|(key, value)| (key.to_owned(), value.to_json()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The indices of the last entry of each key, by key.
fn sort(entries: &[Entry]) -> Box<[u32]> {
    let mut keyed: Vec<(&[u8], u32)> = entries.iter().map(Entry::raw_key).zip(0..).collect();
    keyed.sort_unstable();
    keyed.reverse();
    keyed.dedup_by_key(|(key, _)| *key);
    keyed.into_iter().rev().map(|(_, index)| index).collect()
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer.
    pub const fn as_i64(&self) -> Option<i64> {
        match self.kind {
            Kind::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The truth of a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The keys of a map.
    pub const fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether only the server's environment could tell the value.
    pub const fn is_unresolved(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value as JSON; a moment becomes `{"datetime": "…Z"}`.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(truth) => (*truth).into(),
            Kind::Integer(number) => (*number).into(),
            Kind::Float(number) => (*number).into(),
            Kind::String(text) => text.as_str().into(),
            Kind::Datetime(moment) => serde_json::json!({ "datetime": moment }),
            Kind::Array(elements) => elements
                .iter()
                .map(Self::to_json)
                .collect::<Vec<_>>()
                .into(),
            Kind::Map(map) => map.to_json(),
        }
    }
}

/// Why a value is no storage size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Neither an integer nor a string.
    #[error("a size must be an integer or a string")]
    Type,
    /// The part before the suffix is no integer.
    #[error("a size in quotes must be a whole number followed by K, M, G or T")]
    Number,
    /// The suffix is not one of those that count in strings.
    #[error("a size in quotes must end in K, M, G or T")]
    Suffix,
}

/// Reads a storage size as nats-server's `getStorageSize` does.
///
/// An integer counts as it is (the parser has applied its suffix); a string must end in exactly K, M, G or T, which
/// are binary there, and the empty string is 0.
pub fn storage_size(value: &Value) -> Result<i64, SizeError> {
    let text = match &value.kind {
        Kind::Integer(size) => return Ok(*size),
        Kind::String(text) => text,
        _ => return Err(SizeError::Type),
    };
    let Some(last) = text.chars().next_back() else {
        return Ok(0);
    };
    let number = text.get(..text.len() - last.len_utf8()).unwrap_or_default();
    let number: i64 = number.parse().map_err(|_| SizeError::Number)?;
    let shift = match last {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => return Err(SizeError::Suffix),
    };
    Ok(number.wrapping_mul(1 << shift))
}

pub(super) fn boolean(word: &[u8]) -> bool {
    lexer::boolean(word).unwrap_or(false)
}
