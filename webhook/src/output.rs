//! The formats in which findings are printed.
//!
//! Names and values come from manifests that anybody may have written. What people read on a terminal, in a log or in a
//! comment shows control characters instead of obeying them; what machines read is quoted as its format demands.

mod escape;
pub(crate) use escape::visible;
mod github;
mod json;
mod junit;
mod markdown;
#[cfg(test)]
mod sample;
mod sarif;
mod table;
mod text;
mod words;

use std::env;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use natsguard_policies::policy::Action;
use terminal_size::{Width, terminal_size_of};

use crate::listing::Listing;

/// A format of `check`'s and `scan`'s report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: the line, the reason and the remedy; of a cluster a table.
    Text,
    /// One JSON object with every finding and a summary.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for the test reports of CI systems.
    Junit,
    /// Workflow commands of GitHub Actions: annotations on the changed lines.
    Github,
    /// A table for a comment on a pull request.
    Markdown,
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// JSON or SARIF.
    #[error("can't write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JUnit.
    #[error("can't write the report as XML: {0}")]
    Xml(#[from] quick_junit::SerializeError),
}

/// What [`Format::Text`] is written on. The others are the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether it shows colours.
    pub color: bool,
    /// How wide it is, when it is a terminal that says so: what doesn't fit is cut.
    pub width: Option<usize>,
}

impl Screen {
    /// A file or a pipe.
    pub const NONE: Self = Self {
        color: false,
        width: None,
    };

    /// Standard output.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::NONE;
        }
        let terminal = terminal_size_of(&stdout).map(|(Width(columns), _)| columns.into());
        Self {
            color: env::var_os("NO_COLOR").is_none(),
            width: width(env::var("COLUMNS").ok().as_deref(), terminal),
        }
    }
}

/// `COLUMNS` wins over what the terminal says. Neither counts when it is no width.
fn width(columns: Option<&str>, terminal: Option<usize>) -> Option<usize> {
    let columns = columns.and_then(|columns| columns.parse().ok());
    let is_width = |width: &usize| *width > 0;
    columns.filter(is_width).or(terminal.filter(is_width))
}

/// Renders a listing. What is as bad as the threshold is an error to machines. The text ends with a line feed.
pub fn render(
    format: Format,
    listing: &Listing,
    threshold: Action,
    screen: Screen,
) -> Result<String, RenderError> {
    match format {
        Format::Text if listing.live => Ok(table::render(listing, screen)),
        Format::Text => Ok(text::render(listing, screen.color)),
        Format::Json => json::render(listing),
        Format::Sarif => sarif::render(listing, threshold),
        Format::Junit => junit::render(listing, threshold),
        Format::Github => Ok(github::render(listing, threshold)),
        Format::Markdown => Ok(markdown::render(listing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: &[Format] = &[
        Format::Text,
        Format::Json,
        Format::Sarif,
        Format::Junit,
        Format::Github,
        Format::Markdown,
    ];

    fn listings() -> [Listing; 6] {
        let mut hostile = sample::hostile();
        hostile.live = true;
        for row in &mut hostile.findings {
            row.workload = Some(row.object.clone());
        }
        [
            sample::listing(),
            sample::hostile(),
            sample::empty(),
            sample::unread(),
            sample::live(),
            hostile,
        ]
    }

    #[test]
    fn no_format_prints_a_control_character() {
        for format in FORMATS {
            for listing in listings() {
                let text = render(*format, &listing, Action::Deny, Screen::NONE).unwrap();
                let control: Vec<char> = text
                    .chars()
                    .filter(|c| *c != '\n' && escape::is_unprintable(*c))
                    .collect();
                assert!(control.is_empty(), "{format:?} prints {control:?}");
            }
        }
    }

    #[test]
    fn columns_win_over_the_terminal() {
        assert_eq!(width(Some("80"), Some(120)), Some(80));
        for columns in [None, Some(""), Some("0"), Some("wide")] {
            assert_eq!(width(columns, Some(120)), Some(120), "{columns:?}");
            assert_eq!(width(columns, Some(0)), None, "{columns:?}");
            assert_eq!(width(columns, None), None, "{columns:?}");
        }
    }

    #[test]
    fn every_format_ends_with_one_line_feed() {
        for format in FORMATS {
            for listing in listings() {
                let text = render(*format, &listing, Action::Deny, Screen::NONE).unwrap();
                assert!(
                    text.ends_with('\n') && !text.ends_with("\n\n"),
                    "{format:?}: {text:?}"
                );
            }
        }
    }

    #[test]
    fn the_same_listing_gives_the_same_text() {
        for format in FORMATS {
            for listing in listings() {
                let screen = Screen {
                    color: true,
                    width: Some(80),
                };
                let render = || render(*format, &listing, Action::Deny, screen).unwrap();
                assert_eq!(render(), render());
            }
        }
    }

    #[test]
    fn formats_are_named_in_lower_case() {
        let names: Vec<String> = Format::value_variants()
            .iter()
            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .collect();
        assert_eq!(
            names,
            ["text", "json", "sarif", "junit", "github", "markdown"]
        );
    }
}
