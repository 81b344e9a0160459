//! The command line as people and pipes use it: the real binary on real files.

mod bad_input;
mod check;
mod conf;
mod fix;
mod secrets;
mod support;
