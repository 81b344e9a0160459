//! The evaluation of a file with its includes and variables, as nats-server does it (`conf/parse.go`).

use super::lexer::{Token, TokenKind};
use super::parser::{Document, Error};
use super::text;
use super::value::{self, Entry, KeyOrigin, Kind, Map, Origin, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// The deepest nesting of maps and arrays that is evaluated. nats-server has no limit; no real file comes near.
pub const MAX_DEPTH: usize = 128;
/// The deepest nesting of includes. nats-server has no limit, and never ends on a file that includes itself.
pub const MAX_INCLUDE_DEPTH: usize = 32;
/// The largest number of includes.
pub const MAX_INCLUDES: usize = 1000;
/// The most that variables may add to a configuration, in bytes of memory, roughly.
const MAX_COPIED: usize = 32 << 20;

/// What an include names, as far as the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Included {
    /// The text of the file.
    Text(Vec<u8>),
    /// The file may exist, but its text is not known.
    Unknown,
    /// The file does not exist, or cannot be read.
    Missing,
}

/// One file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path as the include names it; empty for the main file.
    pub path: String,
    /// The index of the file that includes it; `None` for the main file.
    pub includer: Option<usize>,
    /// The text.
    pub text: Vec<u8>,
}

/// What a file says, together with what it includes.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The values in effect.
    pub root: Map,
    /// The main file, then each included one in order; [`Origin::file`] and [`KeyOrigin::file`] count in it.
    pub files: Vec<File>,
    /// The variables that only the server's environment could tell, sorted, each once. Their values are [`Kind::Null`].
    pub unresolved: Vec<String>,
    /// The includes whose text is not known, in order. Evaluation went on without them.
    pub unknown_includes: Vec<String>,
    /// Why nats-server would refuse the configuration. `root` is empty then.
    pub error: Option<ConfigError>,
}

/// Why nats-server would refuse a configuration, and in which of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Index into [`Config::files`].
    pub file: usize,
    /// Where and why.
    pub error: Error,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for ConfigError {}

/// Evaluates a main file with its includes as nats-server would.
///
/// `include` is asked for the text of each include: the path as written, and the index of the file that names it, to
/// which the path is relative (nats-server joins even an absolute path to the including file's directory).
pub fn read(main: &[u8], include: &mut dyn FnMut(&str, usize) -> Included) -> Config {
    let mut reader = Reader {
        include,
        files: Vec::new(),
        unresolved: BTreeSet::new(),
        unknown_includes: Vec::new(),
        copied: 0,
    };
    let file = File {
        path: String::new(),
        includer: None,
        text: Vec::new(),
    };
    reader.files.push(file);
    let result = reader.file(main, 0, 0);
    if let Some(file) = reader.files.first_mut() {
        file.text = main.to_vec();
    }
    let (root, error) = match result {
        Ok(entries) => (Map::new(entries), None),
        Err(error) => (Map::default(), Some(error)),
    };
    Config {
        root,
        files: reader.files,
        unresolved: reader.unresolved.into_iter().collect(),
        unknown_includes: reader.unknown_includes,
        error,
    }
}

impl Document<'_> {
    /// Evaluates the document as a file without includes: each include counts as unknown.
    pub fn read(&self) -> Config {
        read(self.text(), &mut |_, _| Included::Unknown)
    }
}

struct Reader<'r> {
    include: &'r mut dyn FnMut(&str, usize) -> Included,
    files: Vec<File>,
    unresolved: BTreeSet<String>,
    unknown_includes: Vec<String>,
    copied: usize,
}

/// A map or an array that is being read.
enum Context {
    Map(Scope),
    Array { start: usize, elements: Vec<Value> },
}

/// A map that is being read; keys defined so far can be referred to as variables.
#[derive(Default)]
struct Scope {
    start: usize,
    entries: Vec<Entry>,
}

/// Where each key was defined, by map from the outermost to the innermost: a position in the contexts and one in the
/// entries.
///
/// Most files have few variables, for which looking through the maps is faster than keeping this; it is built for
/// those where looking through them again and again would not end in good time.
type Symbols = BTreeMap<Box<[u8]>, Vec<(usize, usize)>>;

/// How many keys are looked at one by one before [`Symbols`] are built.
const PATIENCE: usize = 10_000;

/// What a variable stands for.
enum Variable {
    Value(Value),
    Unresolved,
    /// No environment can hold a variable of this name.
    Impossible,
    /// Variables of variables multiplied beyond reason.
    TooLarge,
    TooDeep,
}

impl Reader<'_> {
    fn file(&mut self, text: &[u8], file: usize, depth: usize) -> Result<Vec<Entry>, ConfigError> {
        let document = Document::parse(text);
        let evaluation = Evaluation {
            reader: self,
            document: &document,
            file,
            depth,
            contexts: vec![Context::Map(Scope::default())],
            keys: Vec::new(),
            patience: PATIENCE,
            symbols: None,
        };
        evaluation.run()
    }
}

/// The evaluation of one file.
struct Evaluation<'e, 'r> {
    reader: &'e mut Reader<'r>,
    document: &'e Document<'e>,
    file: usize,
    /// How many includes lead here.
    depth: usize,
    contexts: Vec<Context>,
    /// The keys that wait for a value. nats-server leaves a key here when its value is dropped, and gives the value of
    /// the enclosing map to it.
    keys: Vec<Token>,
    /// How many more keys may be looked at one by one.
    patience: usize,
    symbols: Option<Symbols>,
}

impl Evaluation<'_, '_> {
    fn run(mut self) -> Result<Vec<Entry>, ConfigError> {
        let document = self.document;
        for token in document.tokens() {
            match token.kind() {
                TokenKind::Key | TokenKind::QuotedKey => self.keys.push(*token),
                TokenKind::MapOpen => {
                    self.open(
                        token,
                        Context::Map(Scope {
                            start: token.start(),
                            ..Scope::default()
                        }),
                    )?;
                }
                TokenKind::ArrayOpen => {
                    self.open(
                        token,
                        Context::Array {
                            start: token.start(),
                            elements: Vec::new(),
                        },
                    )?;
                }
                TokenKind::MapClose | TokenKind::ArrayClose => {
                    let (start, kind) = match self.contexts.pop() {
                        Some(Context::Map(scope)) => {
                            self.forget(&scope.entries);
                            (scope.start, Kind::Map(Map::new(scope.entries)))
                        }
                        Some(Context::Array { start, elements }) => (start, Kind::Array(elements)),
                        None => return Err(self.error(token.start(), "bracket without a partner")),
                    };
                    self.set(kind, start..token.end(), false)?;
                }
                TokenKind::BareString
                | TokenKind::SingleQuoted
                | TokenKind::DoubleQuoted
                | TokenKind::BlockString => {
                    let string = text::shown(&document.string(token));
                    self.set(Kind::String(string), token.range(), false)?;
                }
                TokenKind::Bool => self.set(
                    Kind::Bool(value::boolean(document.bytes(token))),
                    token.range(),
                    false,
                )?,
                TokenKind::Integer => {
                    if let text::Integer::Value(number) = text::integer(document.bytes(token)) {
                        self.set(Kind::Integer(number), token.range(), false)?;
                    }
                }
                TokenKind::Float => {
                    let number = text::float(document.bytes(token)).unwrap_or_default();
                    self.set(Kind::Float(number), token.range(), false)?;
                }
                TokenKind::Datetime => {
                    self.set(
                        Kind::Datetime(text::shown(document.bytes(token))),
                        token.range(),
                        false,
                    )?;
                }
                TokenKind::Variable => self.variable(token)?,
                TokenKind::IncludePath => self.include(token)?,
                _ => {}
            }
        }
        if let Some(error) = document.error() {
            return Err(ConfigError {
                file: self.file,
                error: error.clone(),
            });
        }
        match self.contexts.into_iter().next() {
            Some(Context::Map(scope)) => Ok(scope.entries),
            _ => Ok(Vec::new()),
        }
    }

    fn error(&self, offset: usize, message: &str) -> ConfigError {
        ConfigError {
            file: self.file,
            error: Error::new(self.document.text(), offset, message.to_owned()),
        }
    }

    fn open(&mut self, token: &Token, context: Context) -> Result<(), ConfigError> {
        if self.contexts.len() > MAX_DEPTH {
            return Err(self.error(token.start(), "maps and arrays are nested too deeply"));
        }
        self.contexts.push(context);
        Ok(())
    }

    fn set(&mut self, kind: Kind, span: Range<usize>, variable: bool) -> Result<(), ConfigError> {
        let origin = Origin {
            file: self.file,
            span,
            variable,
        };
        self.set_value(Value { kind, origin })
    }

    fn set_value(&mut self, value: Value) -> Result<(), ConfigError> {
        match self.contexts.last_mut() {
            Some(Context::Array { elements, .. }) => elements.push(value),
            Some(Context::Map(scope)) => {
                let Some(key) = self.keys.pop() else {
                    return Err(self.error(value.origin.span.start, "value without a key"));
                };
                let origin = KeyOrigin {
                    file: self.file,
                    span: key.range(),
                };
                scope
                    .entries
                    .push(Entry::new(self.document.key(&key), origin, value));
                self.remember(1);
            }
            None => return Err(self.error(value.origin.span.start, "bracket without a partner")),
        }
        Ok(())
    }

    /// The last `count` entries of the innermost map are new.
    fn remember(&mut self, count: usize) {
        let (Some(symbols), Some(Context::Map(scope))) = (&mut self.symbols, self.contexts.last())
        else {
            return;
        };
        let depth = self.contexts.len() - 1;
        let known = scope.entries.len().saturating_sub(count);
        for (index, entry) in scope.entries.iter().enumerate().skip(known) {
            symbols
                .entry(entry.raw_key().into())
                .or_default()
                .push((depth, index));
        }
    }

    /// The map that held these entries is no longer open.
    fn forget(&mut self, entries: &[Entry]) {
        let Some(symbols) = &mut self.symbols else {
            return;
        };
        let depth = self.contexts.len();
        for entry in entries {
            if let Some(places) = symbols.get_mut(entry.raw_key()) {
                while places.last().is_some_and(|(context, _)| *context >= depth) {
                    places.pop();
                }
            }
        }
    }

    fn all_symbols(&self) -> Symbols {
        let mut symbols = Symbols::new();
        for (depth, context) in self.contexts.iter().enumerate() {
            let Context::Map(scope) = context else {
                continue;
            };
            for (index, entry) in scope.entries.iter().enumerate() {
                symbols
                    .entry(entry.raw_key().into())
                    .or_default()
                    .push((depth, index));
            }
        }
        symbols
    }

    /// The value of a variable in the enclosing maps, from the inside out, as far as they have been read.
    fn find(&mut self, name: &[u8]) -> Option<&Value> {
        if self.symbols.is_none() {
            let scopes = || {
                self.contexts
                    .iter()
                    .rev()
                    .filter_map(|context| match context {
                        Context::Map(scope) => Some(scope.entries.as_slice()),
                        Context::Array { .. } => None,
                    })
            };
            let cost = self.contexts.len() + scopes().map(<[Entry]>::len).sum::<usize>();
            if let Some(patience) = self.patience.checked_sub(cost) {
                self.patience = patience;
                let named = |entry: &&Entry| entry.raw_key() == name;
                return scopes()
                    .find_map(|entries| entries.iter().rfind(named))
                    .map(|entry| &entry.value);
            }
            self.symbols = Some(self.all_symbols());
        }
        let (depth, index) = *self.symbols.as_ref()?.get(name)?.last()?;
        match self.contexts.get(depth)? {
            Context::Map(scope) => scope.entries.get(index).map(|entry| &entry.value),
            Context::Array { .. } => None,
        }
    }

    fn variable(&mut self, token: &Token) -> Result<(), ConfigError> {
        let bytes = self.document.bytes(token);
        let name = bytes.strip_prefix(b"$").unwrap_or(bytes);
        // A bcrypt hash need not be quoted; nats-server knows this one prefix only.
        if name.starts_with(b"2a$") {
            return self.set(Kind::String(text::shown(bytes)), token.range(), false);
        }
        let origin = Origin {
            file: self.file,
            span: token.range(),
            variable: true,
        };
        match self.lookup(name, &origin) {
            Variable::Value(value) => self.set_value(value),
            Variable::Unresolved => {
                self.reader.unresolved.insert(text::shown(name));
                self.set_value(Value {
                    kind: Kind::Null,
                    origin,
                })
            }
            Variable::Impossible => Err(self.error(token.start(), "variable not found")),
            Variable::TooLarge => Err(self.error(token.start(), "variables expand to too much")),
            Variable::TooDeep => {
                Err(self.error(token.start(), "maps and arrays are nested too deeply"))
            }
        }
    }

    fn lookup(&mut self, name: &[u8], origin: &Origin) -> Variable {
        let room = MAX_DEPTH.saturating_sub(self.contexts.len().saturating_sub(1));
        let mut copied = self.reader.copied;
        if let Some(value) = self.find(name) {
            let variable = copy(value, origin, room, &mut copied);
            self.reader.copied = copied;
            return variable;
        }
        let possible = !name.is_empty() && !name.contains(&b'=');
        if possible || !self.reader.unknown_includes.is_empty() {
            Variable::Unresolved
        } else {
            Variable::Impossible
        }
    }

    fn include(&mut self, token: &Token) -> Result<(), ConfigError> {
        let path = text::shown(self.document.include_path(token));
        if path.is_empty() {
            return Err(self.error(token.start(), "include without a path"));
        }
        let included = (self.reader.include)(&path, self.file);
        let text = match included {
            Included::Text(text) => text,
            Included::Unknown => {
                self.reader.unknown_includes.push(path);
                return Ok(());
            }
            Included::Missing => {
                return Err(self.error(token.start(), "the included file does not exist"));
            }
        };
        if self.depth >= MAX_INCLUDE_DEPTH {
            return Err(self.error(token.start(), "includes are nested too deeply"));
        }
        if self.reader.files.len() > MAX_INCLUDES {
            return Err(self.error(token.start(), "too many includes"));
        }
        let file = self.reader.files.len();
        self.reader.files.push(File {
            path,
            includer: Some(self.file),
            text: Vec::new(),
        });
        let result = self.reader.file(&text, file, self.depth + 1);
        if let Some(file) = self.reader.files.get_mut(file) {
            file.text = text;
        }
        // nats-server puts the included keys where it puts any value: into the innermost map.
        let entries = Map::new(result?).into_entries();
        let count = entries.len();
        if let Some(Context::Map(scope)) = self.contexts.last_mut() {
            scope.entries.extend(entries);
            self.remember(count);
        }
        Ok(())
    }
}

/// A copy of a variable's value for the place that refers to it.
fn copy(value: &Value, origin: &Origin, room: usize, copied: &mut usize) -> Variable {
    match copy_kind(&value.kind, origin, room, copied) {
        Ok(kind) => Variable::Value(Value {
            kind,
            origin: origin.clone(),
        }),
        Err(variable) => variable,
    }
}

fn copy_kind(
    kind: &Kind,
    origin: &Origin,
    room: usize,
    copied: &mut usize,
) -> Result<Kind, Variable> {
    let size = match kind {
        Kind::String(text) => text.len(),
        _ => 0,
    };
    *copied += size + size_of::<Entry>();
    if *copied > MAX_COPIED {
        return Err(Variable::TooLarge);
    }
    if room == 0 && matches!(kind, Kind::Array(_) | Kind::Map(_)) {
        return Err(Variable::TooDeep);
    }
    let mut inner = |value: &Value| -> Result<Value, Variable> {
        let kind = copy_kind(&value.kind, origin, room - 1, copied)?;
        Ok(Value {
            kind,
            origin: origin.clone(),
        })
    };
    Ok(match kind {
        Kind::Array(elements) => Kind::Array(elements.iter().map(inner).collect::<Result<_, _>>()?),
        Kind::Map(map) => {
            let entries = map.entries().iter().map(|entry| {
                let value = inner(&entry.value)?;
                Ok(Entry::new(entry.raw_key(), entry.origin.clone(), value))
            });
            Kind::Map(Map::new(entries.collect::<Result<_, _>>()?))
        }
        other => other.clone(),
    })
}
