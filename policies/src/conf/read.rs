//! The evaluation of a file with its includes and variables, as nats-server does it (`conf/parse.go`).

use super::lexer::{Token, TokenKind};
use super::parser::{Document, Error};
use super::text;
use super::value::{self, Entry, KeyOrigin, Kind, Map, Origin, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// The deepest nesting of maps and arrays that is evaluated. nats-server has no limit; no real file comes near.
pub const MAX_DEPTH: usize = 128;
/// The deepest nesting of includes. nats-server has no limit, and never ends on a file that includes itself.
pub const MAX_INCLUDE_DEPTH: usize = 32;
/// The largest number of includes, those counted whose text is not known.
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
    ///
    /// What looks like a variable may be a password that starts with `$` and lacks its quotes, as bcrypt hashes do. Show
    /// a name only when it looks like that of an environment variable.
    pub unresolved: Vec<String>,
    /// The includes whose text is not known, in order. Evaluation went on without them.
    pub unknown_includes: Vec<String>,
    /// Why nats-server would refuse the configuration, or why it is not evaluated here. `root` is empty then.
    pub error: Option<ConfigError>,
    /// Whether its `cluster` block is a template, for the second workload that reads the same.
    pub(crate) is_template: OnceLock<bool>,
}

/// Why a configuration has no values, and in which of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Index into [`Config::files`].
    pub file: usize,
    /// Where and why.
    pub error: Error,
    /// What is to blame.
    pub cause: Cause,
}

/// What is to blame for a configuration without values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The text, which nats-server refuses.
    Text,
    /// A file that is included and is not there.
    Include,
    /// It is more than is evaluated here, which nats-server may well accept.
    Limit,
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
    Document::parse(main).read_with(include)
}

/// As [`read`], in an environment: `variable` is asked for the text of each variable that no enclosing map holds.
///
/// nats-server parses that text as a value of the file, which may refer to other variables.
pub fn read_in(
    main: &[u8],
    include: &mut dyn FnMut(&str, usize) -> Included,
    variable: &mut dyn FnMut(&str) -> Option<String>,
) -> Config {
    Document::parse(main).read_in(include, variable)
}

impl Document<'_> {
    /// Evaluates the document as a file without includes: each include counts as unknown.
    pub fn read(&self) -> Config {
        self.read_with(&mut |_, _| Included::Unknown)
    }

    /// As [`read`], for a document that has been parsed.
    pub fn read_with(&self, include: &mut dyn FnMut(&str, usize) -> Included) -> Config {
        self.read_in(include, &mut |_| None)
    }

    fn read_in(
        &self,
        include: &mut dyn FnMut(&str, usize) -> Included,
        variable: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Config {
        let main = File {
            path: String::new(),
            includer: None,
            text: self.text().to_vec(),
        };
        let mut reader = Reader {
            include,
            variable,
            environment: BTreeMap::new(),
            files: vec![main],
            includes: 0,
            unresolved: BTreeSet::new(),
            unknown_includes: Vec::new(),
            copied: 0,
        };
        let (root, error) = match reader.file(self, 0, 0) {
            Ok(entries) => (Map::new(entries), None),
            Err(error) => (Map::default(), Some(error)),
        };
        Config {
            root,
            files: reader.files,
            unresolved: reader.unresolved.into_iter().collect(),
            unknown_includes: reader.unknown_includes,
            error,
            is_template: OnceLock::new(),
        }
    }
}

struct Reader<'r> {
    include: &'r mut dyn FnMut(&str, usize) -> Included,
    variable: &'r mut dyn FnMut(&str) -> Option<String>,
    /// What the environment was asked for: `Some` of what it holds.
    environment: BTreeMap<Box<[u8]>, Option<FromEnvironment>>,
    files: Vec<File>,
    includes: usize,
    unresolved: BTreeSet<String>,
    unknown_includes: Vec<String>,
    copied: usize,
}

/// A map or an array that is being read, and what of it has been read so far.
struct Context {
    /// Where it starts in the file.
    start: usize,
    is_map: bool,
    /// Where its entries start in [`Evaluation::entries`].
    entries: usize,
    /// Where its elements start in [`Evaluation::elements`].
    elements: usize,
}

/// Where each key stands in [`Evaluation::entries`], the innermost last.
///
/// Most files have few variables, for which looking through the entries is faster than keeping this; it is built for
/// those where looking through them again and again would not end in good time.
type Symbols = BTreeMap<Box<[u8]>, Vec<usize>>;

/// How many keys are looked at one by one before [`Symbols`] are built.
const PATIENCE: usize = 10_000;

/// What a variable of the environment stands for.
enum FromEnvironment {
    /// It is being read: a value that refers to it would refer to itself.
    Open,
    Value(Value),
    /// The server refuses its text.
    Unreadable,
    /// Its text includes a file, relative to the directory that the server is started in.
    Unknown,
}

/// What a variable stands for.
enum Variable {
    Value(Value),
    Unresolved,
    /// No environment can hold a variable of this name.
    Impossible,
    /// The environment holds it, and the server can't read it.
    Unreadable,
    /// Variables of variables multiplied beyond reason.
    TooLarge,
    TooDeep,
}

impl Reader<'_> {
    fn file(
        &mut self,
        document: &Document<'_>,
        file: usize,
        depth: usize,
    ) -> Result<Vec<Entry>, ConfigError> {
        let root = Context {
            start: 0,
            is_map: true,
            entries: 0,
            elements: 0,
        };
        let evaluation = Evaluation {
            reader: self,
            document,
            file,
            depth,
            contexts: vec![root],
            entries: Vec::new(),
            elements: Vec::new(),
            keys: Vec::new(),
            patience: PATIENCE,
            symbols: None,
        };
        evaluation.run()
    }

    /// The value of a variable of the environment, read once.
    fn environment_variable(&mut self, name: &[u8], depth: usize) -> Option<&FromEnvironment> {
        if !self.environment.contains_key(name) {
            let text = std::str::from_utf8(name)
                .ok()
                .and_then(|name| (self.variable)(name));
            let open = text.is_some().then_some(FromEnvironment::Open);
            self.environment.insert(name.into(), open);
            if let Some(text) = text {
                let found = self.read_variable(&text, depth);
                self.environment.insert(name.into(), Some(found));
            }
        }
        self.environment.get(name)?.as_ref()
    }

    /// Reads the text of a variable as nats-server does (`parseEnv`): as a file with one key.
    fn read_variable(&mut self, text: &str, depth: usize) -> FromEnvironment {
        const KEY: &str = "pk";
        let text = format!("{KEY}={text}");
        let document = Document::parse(text.as_bytes());
        let includes = |token: &Token| token.kind() == TokenKind::IncludePath;
        if document.tokens().iter().any(includes) {
            return FromEnvironment::Unknown;
        }
        if depth >= MAX_INCLUDE_DEPTH {
            return FromEnvironment::Unreadable;
        }
        let entries = self.file(&document, 0, depth + 1).unwrap_or_default();
        let found = entries.into_iter().rfind(|entry| entry.key() == KEY);
        found.map_or(FromEnvironment::Unreadable, |entry| {
            FromEnvironment::Value(entry.value)
        })
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
    /// The entries of all maps that are open, the outermost first. All of them can be referred to as variables.
    entries: Vec<Entry>,
    /// The elements of all arrays that are open, the outermost first.
    elements: Vec<Value>,
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
                TokenKind::MapOpen | TokenKind::ArrayOpen => self.open(token)?,
                TokenKind::MapClose | TokenKind::ArrayClose => self.close(token)?,
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
                cause: Cause::Text,
            });
        }
        // nats-server accepts some files that end within a bracket, and reads nothing of what is in it.
        if let Some(unclosed) = self.contexts.get(1) {
            self.entries.truncate(unclosed.entries);
        }
        Ok(self.entries)
    }

    fn error(&self, offset: usize, message: &str) -> ConfigError {
        ConfigError {
            file: self.file,
            error: Error::new(self.document.text(), offset, message.to_owned()),
            cause: Cause::Text,
        }
    }

    /// The error of a configuration that is more than is evaluated here.
    fn limit(&self, offset: usize, message: &str) -> ConfigError {
        ConfigError {
            cause: Cause::Limit,
            ..self.error(offset, message)
        }
    }

    fn open(&mut self, token: &Token) -> Result<(), ConfigError> {
        if self.contexts.len() > MAX_DEPTH {
            return Err(self.limit(token.start(), "maps and arrays are nested too deeply"));
        }
        self.contexts.push(Context {
            start: token.start(),
            is_map: token.kind() == TokenKind::MapOpen,
            entries: self.entries.len(),
            elements: self.elements.len(),
        });
        Ok(())
    }

    fn close(&mut self, token: &Token) -> Result<(), ConfigError> {
        let Some(context) = self.contexts.pop() else {
            return Err(self.error(token.start(), "bracket without a partner"));
        };
        let kind = if context.is_map {
            let entries = self.entries.split_off(context.entries);
            self.forget(&entries);
            Kind::Map(Map::new(entries))
        } else {
            Kind::Array(self.elements.split_off(context.elements))
        };
        self.set(kind, context.start..token.end(), false)
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
        if self.contexts.last().is_some_and(|context| !context.is_map) {
            self.elements.push(value);
            return Ok(());
        }
        let Some(key) = self.keys.pop() else {
            return Err(self.error(value.origin.span.start, "value without a key"));
        };
        let origin = KeyOrigin {
            file: self.file,
            span: key.range(),
        };
        self.entries
            .push(Entry::new(self.document.key(&key), origin, value));
        self.remember(self.entries.len() - 1);
        Ok(())
    }

    /// The entries from `known` on are new.
    fn remember(&mut self, known: usize) {
        let Some(symbols) = &mut self.symbols else {
            return;
        };
        for (index, entry) in self.entries.iter().enumerate().skip(known) {
            symbols
                .entry(entry.raw_key().into())
                .or_default()
                .push(index);
        }
    }

    /// The map that held these entries, the last ones, is no longer open.
    fn forget(&mut self, entries: &[Entry]) {
        let Some(symbols) = &mut self.symbols else {
            return;
        };
        for entry in entries {
            if let Some(places) = symbols.get_mut(entry.raw_key()) {
                places.pop();
            }
        }
    }

    /// The value of a variable in the enclosing maps, from the inside out, as far as they have been read.
    fn find(&mut self, name: &[u8]) -> Option<&Value> {
        if self.symbols.is_none() {
            if let Some(patience) = self.patience.checked_sub(self.entries.len()) {
                self.patience = patience;
                return self
                    .entries
                    .iter()
                    .rfind(|entry| entry.raw_key() == name)
                    .map(|entry| &entry.value);
            }
            self.symbols = Some(Symbols::new());
            self.remember(0);
        }
        let index = *self.symbols.as_ref()?.get(name)?.last()?;
        self.entries.get(index).map(|entry| &entry.value)
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
            Variable::Unreadable => {
                Err(self.error(token.start(), "the value of the variable can't be read"))
            }
            Variable::TooLarge => Err(self.limit(token.start(), "variables expand to too much")),
            Variable::TooDeep => {
                Err(self.limit(token.start(), "maps and arrays are nested too deeply"))
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
        // What is included and not known may hold it, too, and would go first.
        if self.reader.unknown_includes.is_empty()
            && let Some(found) = self.reader.environment_variable(name, self.depth)
        {
            return match found {
                FromEnvironment::Value(value) => {
                    let variable = copy(value, origin, room, &mut copied);
                    self.reader.copied = copied;
                    variable
                }
                FromEnvironment::Unknown => Variable::Unresolved,
                FromEnvironment::Open | FromEnvironment::Unreadable => Variable::Unreadable,
            };
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
        self.reader.includes += 1;
        if self.reader.includes > MAX_INCLUDES {
            return Err(self.limit(token.start(), "too many includes"));
        }
        let included = (self.reader.include)(&path, self.file);
        let text = match included {
            Included::Text(text) => text,
            Included::Unknown => {
                self.reader.unknown_includes.push(path);
                return Ok(());
            }
            Included::Missing => {
                return Err(ConfigError {
                    cause: Cause::Include,
                    ..self.error(token.start(), "the included file does not exist")
                });
            }
        };
        if self.depth >= MAX_INCLUDE_DEPTH {
            return Err(self.limit(token.start(), "includes are nested too deeply"));
        }
        let file = self.reader.files.len();
        self.reader.files.push(File {
            path,
            includer: Some(self.file),
            text: Vec::new(),
        });
        let result = self
            .reader
            .file(&Document::parse(&text), file, self.depth + 1);
        if let Some(file) = self.reader.files.get_mut(file) {
            file.text = text;
        }
        // nats-server puts the included keys into the innermost map, over those that it has.
        let known = self.entries.len();
        self.entries.extend(Map::new(result?).into_entries());
        self.remember(known);
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
