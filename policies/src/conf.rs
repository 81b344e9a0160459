//! The NATS configuration language: read as nats-server reads it, edited by splices of the original bytes.
//!
//! [`Document::parse`] splits one file into tokens that tile it and finds the error, if any, that nats-server would
//! report. [`read()`] evaluates a file with its includes and variables to values, each of which knows its place.
//! [`edit_array`], [`insert_key`], [`replace_value`] and [`remove_key`] say which bytes to change.
//!
//! What always holds: the tokens of a document, concatenated, are its text; parsing never fails; an edit changes
//! nothing but its spans; edits that overlap are refused; time is linear and depth is bounded. nats-server's own
//! `conf` package is the measure of all this (`tests/conformance`), its oddities included.

mod edit;
mod layout;
mod lexer;
mod parser;
mod read;
mod style;
mod text;
mod value;

pub use edit::{
    EditError, Edits, Element, NewValue, Overlap, Splice, edit_array, insert_key, remove_key,
    replace_value,
};
pub use lexer::{Token, TokenKind};
pub use parser::{Document, Error, is_template};
pub use read::{
    Cause, Config, ConfigError, File, Included, MAX_DEPTH, MAX_INCLUDE_DEPTH, MAX_INCLUDES, read,
    read_in,
};
pub use value::{Entry, KeyOrigin, Kind, Map, Origin, SizeError, Value, storage_size};
