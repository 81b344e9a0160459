//! `natsguard conf`: the values of configuration files, as nats-server reads them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use natsguard_policies::conf::{Included, read};
use serde_json::{Value, json};

use super::{SUCCESS, UNUSABLE, print};
use crate::args::Conf;
use crate::input::STDIN;

pub(super) fn run(args: &Conf) -> io::Result<u8> {
    let mut status = SUCCESS;
    for path in &args.paths {
        let (name, text) = if path.as_os_str() == "-" {
            let mut text = Vec::new();
            (
                STDIN.to_owned(),
                io::stdin().lock().read_to_end(&mut text).map(|_| text),
            )
        } else {
            (path.display().to_string(), fs::read(path))
        };
        let answer = match text {
            Ok(text) => values(&name, path, &text),
            Err(error) => failure(&name, 1, 1, &format!("the file can't be read: {error}")),
        };
        if answer.get("error").is_some() {
            status = UNUSABLE;
        }
        print(format!("{answer}\n").as_bytes())?;
    }
    Ok(status)
}

fn values(name: &str, path: &Path, text: &[u8]) -> Value {
    let mut paths: Vec<PathBuf> = vec![path.to_owned()];
    let config = read(text, &mut |include, from| {
        let directory = paths
            .get(from)
            .and_then(|path| path.parent())
            .unwrap_or(Path::new(""));
        // nats-server joins even an absolute path to the directory of the including file.
        let path = directory.join(include.trim_start_matches('/'));
        match fs::read(&path) {
            Ok(text) => {
                paths.push(path);
                Included::Text(text)
            }
            Err(_) => Included::Missing,
        }
    });
    if let Some(error) = &config.error {
        let message = match paths.get(error.file).filter(|_| error.file > 0) {
            Some(path) => format!(
                "in the included file {}: {}",
                path.display(),
                error.error.message
            ),
            None => error.error.message.clone(),
        };
        return failure(name, error.error.line, error.error.column, &message);
    }
    let mut answer = json!({"file": name, "values": config.root.to_json()});
    if !config.unresolved.is_empty()
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("unresolved".to_owned(), json!(config.unresolved));
    }
    answer
}

fn failure(name: &str, line: usize, column: usize, message: &str) -> Value {
    json!({"file": name, "error": {"line": line, "column": column, "message": message}})
}
