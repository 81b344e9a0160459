//! The simple commands of a POSIX shell script, well enough to find the server among them: quotes, operators, redirections,
//! here-documents and parameters are understood; what only running it could tell is not known.

use std::collections::VecDeque;
use std::rc::Rc;

use super::environment::Environment;

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The word as the program gets it, as far as that is known.
    pub text: String,
    /// Whether it is what the program gets.
    pub is_known: bool,
    /// JSON pointer of the string that it stands in.
    pub pointer: Rc<str>,
    /// The word as it is written there, where that is not `text`.
    pub written: Option<String>,
    /// Whether it is that string, and no part of a script in it.
    pub is_whole: bool,
}

/// A simple command: a program with its arguments.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// The words, redirections left out.
    pub words: Vec<Word>,
    /// The files that its output goes to.
    pub outputs: Vec<Word>,
    /// Whether it may be left out when the script runs.
    pub is_conditional: bool,
}

/// Words before a command that belong to the shell and not to it.
const BEFORE: &[&str] = &[
    "!", "then", "do", "else", "elif", "if", "while", "until", "time",
];

/// Words that open what may not run, or may run again.
const OPENING: &[&str] = &["if", "while", "until", "for", "case", "select"];

/// Words that close it.
const CLOSING: &[&str] = &["fi", "done", "esac", "}"];

/// Words whose command names no program.
const HEADS: &[&str] = &["for", "case", "select", "function"];

/// Programs that hardly fail, so that what follows them with `&&` runs.
const UNFAILING: &[&str] = &[
    "cd", "chmod", "chown", "cp", "echo", "envsubst", "export", "mkdir", "sed", "set", "ulimit",
    "umask",
];

/// A script that is read.
pub(super) struct Script<'s> {
    text: &'s str,
    at: usize,
    pointer: Rc<str>,
    /// For each open block whether what is in it may not run.
    blocks: Vec<bool>,
    /// How many of them that are.
    conditions: usize,
    /// Whether a command before this one in a chain of `&&` and `||` may have failed.
    may_have_failed: bool,
    /// The here-documents that start at the end of this line: the last line of each, and whether tabs before it count.
    documents: VecDeque<(String, bool)>,
}

/// A word that is being read.
#[derive(Default)]
struct Draft {
    text: String,
    written: String,
    is_unknown: bool,
    is_rewritten: bool,
    is_begun: bool,
}

/// Where the next word goes.
#[derive(Clone, Copy)]
enum Into {
    Words,
    Output,
    Nowhere,
    Document { keeps_tabs: bool },
}

impl<'s> Script<'s> {
    pub(super) fn new(text: &'s str, pointer: &Rc<str>) -> Self {
        Self {
            text,
            at: 0,
            pointer: Rc::clone(pointer),
            blocks: Vec::new(),
            conditions: 0,
            may_have_failed: false,
            documents: VecDeque::new(),
        }
    }

    /// The next command; `arguments` are `$1`, `$2` and so on, after `$0`.
    pub(super) fn next(
        &mut self,
        environment: &mut Environment,
        arguments: &[Word],
    ) -> Option<Command> {
        while self.at < self.text.len() {
            let command = self.command(environment, arguments);
            if let Some(command) = command.and_then(|command| self.without_syntax(command)) {
                return Some(command);
            }
        }
        None
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.at += wanted.len_utf8();
        }
        is_next
    }

    /// Words up to an operator: `None` where they are the patterns of a `case`, or the name of a function.
    fn command(&mut self, environment: &mut Environment, arguments: &[Word]) -> Option<Command> {
        let mut command = Command {
            is_conditional: self.is_conditional(),
            ..Command::default()
        };
        let mut draft = Draft::default();
        let mut into = Into::Words;
        while let Some(c) = self.take() {
            let start = self.at - c.len_utf8();
            match c {
                '\\' => match self.take() {
                    Some('\n') => {}
                    escaped => draft.push(escaped.unwrap_or(c)),
                },
                '\'' => {
                    draft.quote();
                    while let Some(c) = self.take().filter(|c| *c != '\'') {
                        draft.push(c);
                    }
                }
                '"' => self.double_quoted(&mut draft, &mut command, environment, arguments),
                '$' => self.parameter(false, &mut draft, &mut command, environment, arguments),
                '`' => {
                    self.skip_to('`');
                    draft.hide(self.text.get(start..self.at));
                }
                '#' if !draft.is_begun => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.take();
                    }
                }
                '<' | '>' => {
                    let is_descriptor = draft.text.bytes().all(|byte| byte.is_ascii_digit());
                    if is_descriptor {
                        draft = Draft::default();
                    }
                    self.end(&mut draft, &mut into, &mut command);
                    into = self.redirection(c);
                }
                '&' if self.peek() == Some('>') => {
                    self.end(&mut draft, &mut into, &mut command);
                    self.take();
                    into = self.redirection('>');
                }
                ';' | '&' | '|' | '\n' | '(' | ')' => {
                    self.end(&mut draft, &mut into, &mut command);
                    return self.operator(c, command);
                }
                c if c.is_whitespace() => self.end(&mut draft, &mut into, &mut command),
                c => draft.push(c),
            }
        }
        self.end(&mut draft, &mut into, &mut command);
        Some(command)
    }

    fn is_conditional(&self) -> bool {
        self.may_have_failed || self.conditions > 0
    }

    fn open(&mut self, is_conditional: bool) {
        self.blocks.push(is_conditional);
        self.conditions += usize::from(is_conditional);
    }

    fn close(&mut self) {
        self.conditions -= usize::from(self.blocks.pop() == Some(true));
    }

    /// What an operator means for the command that it ends, and for the next one.
    fn operator(&mut self, operator: char, command: Command) -> Option<Command> {
        match operator {
            '(' => {
                if self.take_if(')') {
                    // A function: its body runs when it is called.
                    self.open(true);
                    while self.peek().is_some_and(|c| c.is_whitespace() || c == '{') {
                        self.take();
                    }
                    return None;
                }
                self.open(false);
                return Some(command);
            }
            ')' => {
                let mut words = command.words.iter();
                let opens_case = words.any(|word| word.text == "case" && word.written.is_none());
                if !opens_case {
                    // What closes no subshell ends a pattern.
                    if self.blocks.last() == Some(&true) {
                        return None;
                    }
                    self.close();
                }
                return Some(command);
            }
            '&' | '|' if self.take_if(operator) => {
                let program = command.words.first().map_or("", |word| &word.text);
                self.may_have_failed |= operator == '|'
                    || !(UNFAILING.contains(&program) || assignment(program).is_some());
                return Some(command);
            }
            '\n' => self.skip_documents(),
            ';' => while self.take_if(';') {},
            _ => {}
        }
        self.may_have_failed = false;
        Some(command)
    }

    /// A command without the words of the shell's own language before it.
    fn without_syntax(&mut self, mut command: Command) -> Option<Command> {
        let mut syntax = 0;
        for word in &command.words {
            let text = word.text.as_str();
            if word.written.is_some() {
                break;
            }
            if OPENING.contains(&text) {
                self.open(true);
            } else if text == "{" {
                self.open(false);
            } else if CLOSING.contains(&text) {
                self.close();
            }
            if HEADS.contains(&text) {
                return None;
            }
            if text != "{" && !BEFORE.contains(&text) && !CLOSING.contains(&text) {
                break;
            }
            syntax += 1;
        }
        command.is_conditional |= self.is_conditional();
        command.words.drain(..syntax);
        (!command.words.is_empty() || !command.outputs.is_empty()).then_some(command)
    }

    fn end(&mut self, draft: &mut Draft, into: &mut Into, command: &mut Command) {
        let draft = core::mem::take(draft);
        if !draft.is_begun {
            return;
        }
        let word = draft.word(&self.pointer);
        match core::mem::replace(into, Into::Words) {
            Into::Words => command.words.push(word),
            Into::Output => command.outputs.push(word),
            Into::Nowhere => {}
            Into::Document { keeps_tabs } => self.documents.push_back((word.text, keeps_tabs)),
        }
    }

    /// After the first character of a redirection.
    fn redirection(&mut self, first: char) -> Into {
        if first == '>' {
            let _ = self.take_if('>') || self.take_if('|');
            return if self.take_if('&') {
                Into::Nowhere
            } else {
                Into::Output
            };
        }
        if self.take_if('<') {
            if self.take_if('<') {
                return Into::Nowhere;
            }
            let keeps_tabs = !self.take_if('-');
            return Into::Document { keeps_tabs };
        }
        let _ = self.take_if('&') || self.take_if('>');
        Into::Nowhere
    }

    fn skip_documents(&mut self) {
        while let Some((end, keeps_tabs)) = self.documents.pop_front() {
            while let Some(rest) = self.text.get(self.at..).filter(|rest| !rest.is_empty()) {
                let line = rest.split('\n').next().unwrap_or_default();
                self.at += (line.len() + 1).min(rest.len());
                let line = if keeps_tabs {
                    line
                } else {
                    line.trim_start_matches('\t')
                };
                if line == end {
                    break;
                }
            }
        }
    }

    fn double_quoted(
        &mut self,
        draft: &mut Draft,
        command: &mut Command,
        environment: &mut Environment,
        arguments: &[Word],
    ) {
        draft.quote();
        while let Some(c) = self.take() {
            let start = self.at - c.len_utf8();
            match c {
                '"' => break,
                '\\' => match self.take() {
                    Some('\n') => {}
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => draft.push(escaped),
                    escaped => {
                        draft.push(c);
                        if let Some(escaped) = escaped {
                            draft.push(escaped);
                        }
                    }
                },
                '$' => self.parameter(true, draft, command, environment, arguments),
                '`' => {
                    self.skip_to('`');
                    draft.hide(self.text.get(start..self.at));
                }
                c => draft.push(c),
            }
        }
    }

    /// After a dollar sign.
    fn parameter(
        &mut self,
        is_quoted: bool,
        draft: &mut Draft,
        command: &mut Command,
        environment: &mut Environment,
        arguments: &[Word],
    ) {
        let start = self.at - 1;
        let name = match self.peek() {
            Some('(') => {
                self.take();
                self.skip_parentheses();
                return draft.hide(self.text.get(start..self.at));
            }
            Some('{') => {
                self.take();
                let inner = self.at;
                self.skip_braces();
                let inner = self.text.get(inner..self.at.saturating_sub(1));
                let inner = inner.unwrap_or_default();
                let end = inner.find([':', '-', '=', '?', '+', '%', '#', '/', '[', '^', ',']);
                let (name, operator) = inner
                    .split_at_checked(end.unwrap_or(inner.len()))
                    .unwrap_or_default();
                // A default counts where the variable is not set, and an image may set it.
                let is_default = [":-", "-", ":=", "=", ":?", "?"]
                    .iter()
                    .any(|with| operator.starts_with(with));
                let is_empty = environment.get(name).value() == Some("");
                if !(operator.is_empty() || is_default && !is_empty) {
                    return draft.hide(self.text.get(start..self.at));
                }
                name
            }
            Some('@' | '*' | '0'..='9') => {
                let name = self.at;
                self.take();
                self.text.get(name..self.at).unwrap_or_default()
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                let name = self.at;
                while self
                    .peek()
                    .is_some_and(|c| c == '_' || c.is_ascii_alphanumeric())
                {
                    self.take();
                }
                self.text.get(name..self.at).unwrap_or_default()
            }
            Some('$' | '?' | '!' | '#' | '-') => {
                self.take();
                return draft.hide(self.text.get(start..self.at));
            }
            _ => return draft.push('$'),
        };
        let written = self.text.get(start..self.at).unwrap_or_default();
        if matches!(name, "@" | "*") {
            return Self::all(arguments, draft, command, environment);
        }
        let value = match name.parse::<usize>() {
            Ok(number) => arguments
                .get(number)
                .filter(|word| word.is_known)
                .map(|word| word.text.as_str()),
            Err(_) => environment.get(name).value(),
        };
        let value = value.map(str::to_owned);
        match value {
            Some(value) if environment.spend(value.len()) => {
                draft.expand(&value, written, is_quoted, &self.pointer, command);
            }
            _ => draft.hide(Some(written)),
        }
    }

    /// `$@`: each argument is a word.
    fn all(
        arguments: &[Word],
        draft: &mut Draft,
        command: &mut Command,
        environment: &mut Environment,
    ) {
        let arguments = arguments.get(1..).unwrap_or_default();
        let size = arguments.iter().map(|word| word.text.len() + 1).sum();
        if arguments.is_empty() || !environment.spend(size) {
            return draft.hide(Some("$@"));
        }
        // What is joined to it on either side is rare, and left out.
        *draft = Draft::default();
        command.words.extend(arguments.iter().cloned());
    }

    fn skip_to(&mut self, end: char) {
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                c if c == end => break,
                _ => {}
            }
        }
    }

    fn skip_braces(&mut self) {
        let mut open = 1_usize;
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                '{' => open += 1,
                '}' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
    }

    fn skip_parentheses(&mut self) {
        let mut open = 1_usize;
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                '\'' => while self.take().is_some_and(|c| c != '\'') {},
                '"' => self.skip_to('"'),
                '(' => open += 1,
                ')' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
}

impl Draft {
    fn push(&mut self, c: char) {
        self.is_begun = true;
        self.text.push(c);
        self.written.push(c);
    }

    fn quote(&mut self) {
        self.is_begun = true;
        self.is_rewritten = true;
    }

    /// Adds what is not known.
    fn hide(&mut self, written: Option<&str>) {
        self.is_begun = true;
        self.is_unknown = true;
        let written = written.unwrap_or_default();
        self.text.push_str(written);
        self.written.push_str(written);
    }

    /// Adds the value of a variable, which is split into words where it is not quoted.
    fn expand(
        &mut self,
        value: &str,
        written: &str,
        is_quoted: bool,
        pointer: &Rc<str>,
        command: &mut Command,
    ) {
        self.is_rewritten = true;
        self.written.push_str(written);
        if is_quoted {
            self.text.push_str(value);
            return;
        }
        let mut fields = value.split_whitespace().peekable();
        if value.starts_with(char::is_whitespace) && self.is_begun {
            command.words.push(core::mem::take(self).word(pointer));
        }
        while let Some(field) = fields.next() {
            self.is_begun = true;
            self.is_rewritten = true;
            self.text.push_str(field);
            if fields.peek().is_some() {
                command.words.push(core::mem::take(self).word(pointer));
                written.clone_into(&mut self.written);
            }
        }
    }

    fn word(self, pointer: &Rc<str>) -> Word {
        let differs = self.is_rewritten || self.is_unknown;
        Word {
            text: self.text,
            is_known: !self.is_unknown,
            pointer: Rc::clone(pointer),
            written: differs.then_some(self.written),
            is_whole: false,
        }
    }
}

/// `NAME=value`, as name and value.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(name, _)| is_name(name))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
