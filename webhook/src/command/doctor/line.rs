//! One line of a doctor's report.

use std::fmt;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Fine,
    Broken,
    /// It could not be looked at from here.
    Unseen,
}

/// What was looked at, and what was found. A broken thing comes with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) state: State,
    pub(super) what: &'static str,
    pub(super) text: String,
}

impl Line {
    pub(super) fn fine(what: &'static str, text: impl Into<String>) -> Self {
        Self {
            state: State::Fine,
            what,
            text: text.into(),
        }
    }

    pub(super) fn broken(what: &'static str, text: impl fmt::Display, remedy: &str) -> Self {
        Self {
            state: State::Broken,
            what,
            text: format!("{text}; {remedy}"),
        }
    }

    pub(super) fn unseen(what: &'static str, why: impl Into<String>) -> Self {
        Self {
            state: State::Unseen,
            what,
            text: why.into(),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Fine => "ok",
            State::Broken => "BROKEN",
            State::Unseen => "not seen",
        };
        write!(f, "{state:8}  {:13}  {}", self.what, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_what_and_why() {
        for (line, text) in [
            (
                Line::fine("dns", "a.b.svc is 10.0.0.1"),
                "ok        dns            a.b.svc is 10.0.0.1",
            ),
            (
                Line::broken("tcp", "refused", "start it"),
                "BROKEN    tcp            refused; start it",
            ),
            (
                Line::unseen("dns", "outside"),
                "not seen  dns            outside",
            ),
        ] {
            assert_eq!(line.to_string(), text);
        }
    }
}
