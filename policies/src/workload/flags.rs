//! The flags a server is started with, read as Go's `flag` package and nats-server read them.

use std::ops::Range;

use serde_json::Value;

use crate::json;

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
    /// JSON pointer of the string that holds the value.
    pub pointer: String,
    /// Bytes of the value in that string; `None` where it can't be edited in place (a shell script).
    pub span: Option<Range<usize>>,
}

impl Flag {
    /// Whether the kubelet (`$(VAR)`) or a shell (`$VAR`) puts the value together when the container starts.
    pub fn is_expanded_later(&self) -> bool {
        self.value.contains("$(") || (self.span.is_none() && self.value.contains('$'))
    }
}

/// The command line of a container, as far as the manifest says.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// Base name of the program, when the manifest names one: of the command itself, or found in a shell script.
    pub program: Option<String>,
    /// Whether `command` or `args` replace the arguments of the image.
    pub overrides_image: bool,
    /// Whether a shell or another wrapper runs something that can't be seen here.
    pub hidden: bool,
    flags: Vec<Flag>,
}

impl CommandLine {
    /// Reads `command` and `args` of a container; `pointer` is the container's.
    pub fn read(container: &Value, pointer: &str, is_server: fn(&str) -> bool) -> Self {
        let mut words = Vec::new();
        for key in ["command", "args"] {
            for (index, word) in json::items(container, &[key]).iter().enumerate() {
                let at = format!("{pointer}/{key}/{index}");
                words.push((word.as_str().unwrap_or_default().to_owned(), at));
            }
        }
        let has_command = !json::items(container, &["command"]).is_empty();
        let mut line = Self {
            overrides_image: !words.is_empty(),
            ..Self::default()
        };
        let direct = words
            .iter()
            .map(|(word, at)| Word {
                text: word.clone(),
                pointer: at.clone(),
                in_place: true,
            })
            .collect::<Vec<_>>();
        // `nats-server …`, and `tini -- nats-server …`; the entry point of the image runs its arguments.
        let first = direct.iter().position(|word| !is_wrapping(&word.text));
        if let Some(at) = first.filter(|at| {
            direct
                .get(*at)
                .is_some_and(|word| is_server(base_name(&word.text)))
        }) {
            line.program = direct.get(at).map(|word| base_name(&word.text).to_owned());
            line.flags = flags(direct.get(at + 1..).unwrap_or_default());
            return line;
        }
        for (script, at) in words
            .iter()
            .filter(|(script, _)| script.contains(char::is_whitespace))
        {
            let words = shell_words(script, at);
            let is_command = |at: &usize| {
                words
                    .get(*at)
                    .is_some_and(|word| is_server(base_name(&word.text)))
                    && words
                        .get(..*at)
                        .unwrap_or_default()
                        .last()
                        .is_none_or(|before| {
                            is_wrapper(&before.text)
                                || matches!(
                                    before.text.as_str(),
                                    ";" | "&" | "|" | "\n" | "then" | "do" | "else" | "{" | "("
                                )
                        })
            };
            // `nats-server --version; exec nats-server -c …`: the last one is the one that stays.
            if let Some(at) = (0..words.len()).rev().find(is_command) {
                line.program = words.get(at).map(|word| base_name(&word.text).to_owned());
                line.flags = flags(words.get(at + 1..).unwrap_or_default());
                return line;
            }
        }
        if has_command {
            line.program = direct.first().map(|word| base_name(&word.text).to_owned());
            line.hidden = true;
        }
        let arguments = if has_command {
            direct.get(1..)
        } else {
            direct.get(..)
        };
        line.flags = flags(arguments.unwrap_or_default());
        line
    }

    /// The last of these flags: it is the one that counts.
    pub fn last(&self, names: &[&str]) -> Option<&Flag> {
        self.flags
            .iter()
            .rev()
            .find(|flag| names.contains(&flag.name.as_str()))
    }

    /// Every flag, in order.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Whether a switch such as `-js` is on.
    pub fn is_on(&self, names: &[&str]) -> bool {
        self.last(names).is_some_and(|flag| {
            !matches!(
                flag.value.to_ascii_lowercase().as_str(),
                "false" | "0" | "f"
            )
        })
    }
}

struct Word {
    text: String,
    pointer: String,
    in_place: bool,
}

/// Go's flag syntax: `-x v`, `-x=v`, `--x v`, `--x=v`; the first word that is no flag ends it.
fn flags(words: &[Word]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(name) = word
            .text
            .strip_prefix("--")
            .or_else(|| word.text.strip_prefix('-'))
        else {
            break;
        };
        if name.is_empty() {
            break;
        }
        if let Some((name, value)) = name.split_once('=') {
            let start = word.text.len() - value.len();
            flags.push(Flag {
                name: name.to_owned(),
                value: value.to_owned(),
                pointer: word.pointer.clone(),
                span: word.in_place.then_some(start..word.text.len()),
            });
        } else if SWITCHES.contains(&name) {
            flags.push(Flag {
                name: name.to_owned(),
                value: String::new(),
                pointer: word.pointer.clone(),
                span: None,
            });
        } else if let Some(value) = words.next() {
            flags.push(Flag {
                name: name.to_owned(),
                value: value.text.clone(),
                pointer: value.pointer.clone(),
                span: value.in_place.then_some(0..value.text.len()),
            });
        }
    }
    flags
}

/// Words that run the command after them.
fn is_wrapper(word: &str) -> bool {
    const WRAPPERS: &[&str] = &[
        "tini",
        "dumb-init",
        "catatonit",
        "exec",
        "nice",
        "docker-entrypoint.sh",
        "entrypoint.sh",
    ];
    WRAPPERS.contains(&base_name(word))
}

/// A wrapper, or one of its switches.
fn is_wrapping(word: &str) -> bool {
    is_wrapper(word) || word == "--" || (word.starts_with('-') && word.len() == 2 && word != "-c")
}

/// The last segment of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The words of a POSIX shell script, well enough to find one command and its arguments: quotes and backslashes are
/// understood, operators end a command and so stand as words of their own.
fn shell_words(script: &str, pointer: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut text: Option<String> = None;
    let mut chars = script.chars().peekable();
    let mut end = |text: &mut Option<String>| {
        if let Some(text) = text.take() {
            words.push(Word {
                text,
                pointer: pointer.to_owned(),
                in_place: false,
            });
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(escaped) => text.get_or_insert_default().push(escaped),
            },
            '\'' => text
                .get_or_insert_default()
                .extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = text.get_or_insert_default();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => word.extend(chars.next()),
                        c => word.push(c),
                    }
                }
            }
            ';' | '&' | '|' | '\n' => {
                end(&mut text);
                text = Some(c.to_string());
                end(&mut text);
            }
            c if c.is_whitespace() => end(&mut text),
            c => text.get_or_insert_default().push(c),
        }
    }
    end(&mut text);
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(container: &Value) -> CommandLine {
        CommandLine::read(container, "/spec/containers/0", |name| {
            name == "nats-server"
        })
    }

    #[test]
    fn every_form_of_a_go_flag_is_read() {
        let line = read(&json!({
            "command": ["/nats-server"],
            "args": ["-c", "a.conf", "--routes=nats://a:1", "-js", "-sd=/data", "--name", "x"]
        }));
        assert_eq!(line.program.as_deref(), Some("nats-server"));
        assert_eq!(line.last(&["c", "config"]).unwrap().value, "a.conf");
        let routes = line.last(&["routes"]).unwrap();
        assert_eq!(routes.value, "nats://a:1");
        assert_eq!(routes.pointer, "/spec/containers/0/args/2");
        assert_eq!(routes.span, Some(9..19));
        assert!(line.is_on(&["js", "jetstream"]));
        assert_eq!(line.last(&["sd", "store_dir"]).unwrap().value, "/data");
        assert_eq!(line.last(&["n", "name"]).unwrap().value, "x");
    }

    #[test]
    fn the_last_of_two_flags_counts_and_a_word_ends_them() {
        let line =
            read(&json!({"command": ["nats-server", "-c", "a", "-c", "b", "stop", "-c", "c"]}));
        assert_eq!(line.last(&["c"]).unwrap().value, "b");
    }

    #[test]
    fn a_shell_script_is_looked_into_but_not_edited() {
        let line = read(&json!({
            "command": ["/bin/sh", "-c", "ulimit -n 65536; exec nats-server -c '/etc/nats conf' --routes \"$ROUTES\""]
        }));
        assert_eq!(line.program.as_deref(), Some("nats-server"));
        assert_eq!(line.last(&["c"]).unwrap().value, "/etc/nats conf");
        assert_eq!(line.last(&["c"]).unwrap().span, None);
        assert!(line.last(&["routes"]).unwrap().is_expanded_later());
    }

    #[test]
    fn a_wrapper_hides_the_server() {
        let line = read(&json!({"command": ["/bin/sh", "-c", "/scripts/start.sh now"]}));
        assert!(line.hidden);
        assert_eq!(line.program.as_deref(), Some("sh"));
    }

    #[test]
    fn the_name_of_a_server_in_an_argument_makes_no_server() {
        for args in [
            json!({"args": ["--nats", "nats://nats-server"]}),
            json!({"command": ["sh", "-c", "until nc -z nats-server 4222; do sleep 1; done"]}),
            json!({"command": ["app", "nats-server"]}),
        ] {
            assert_ne!(
                read(&args).program.as_deref(),
                Some("nats-server"),
                "{args}"
            );
        }
        let named = read(&json!({"args": ["-c", "/a", "--name", "nats-server"]}));
        assert_eq!(named.last(&["c"]).unwrap().value, "/a");
    }

    #[test]
    fn the_last_server_of_a_script_is_the_one_that_stays() {
        let line = read(
            &json!({"command": ["sh", "-c", "nats-server --version; exec nats-server --routes nats://a:1"]}),
        );
        assert_eq!(line.last(&["routes"]).unwrap().value, "nats://a:1");
        let line = read(&json!({"command": ["tini", "-g", "--", "/opt/nats-server", "-c", "/a"]}));
        assert_eq!(line.last(&["c"]).unwrap().value, "/a");
    }

    #[test]
    fn a_switch_can_be_off() {
        assert!(!read(&json!({"args": ["-js=false"]})).is_on(&["js"]));
    }
}
