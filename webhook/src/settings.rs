//! Settings from a file, watched by content: only settings that are good replace those in force.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use natsguard_policies::settings::Settings;

use crate::resolver;

/// How often the file is looked at. The kubelet takes up to a minute to bring an edit, so seconds add little.
pub const PERIOD: Duration = Duration::from_secs(5);

/// A ConfigMap holds 1 MiB; a larger file is none of ours.
const MAX_BYTES: u64 = 1 << 20;

/// Reads and checks settings. The error says what, where and why, and holds no line of the file.
pub fn load(path: &Path) -> Result<Settings, String> {
    parse(&read(path)?, path)
}

/// Today in UTC, as [`Settings::today`] has it.
pub fn today() -> String {
    Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{name}: can't be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{name}: is larger than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8], path: &Path) -> Result<Settings, String> {
    let name = path.display();
    let text = std::str::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))?;
    let settings: Settings = serde_saphyr::from_str(text)
        // Without the lines around it: nobody knows what file this is.
        .map_err(|error| format!("{name}: {}", error.without_snippet()))?;
    settings
        .validate()
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(settings)
}

/// With what no file says.
fn here_and_now(settings: Settings) -> Settings {
    Settings {
        today: Some(today()),
        found_domain: resolver::cluster_domain(),
        ..settings
    }
}

/// Whether there is nothing but comments and nulls.
fn is_empty(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).unwrap_or("?");
    serde_saphyr::from_multiple::<serde_json::Value>(text)
        .is_ok_and(|documents| documents.iter().all(serde_json::Value::is_null))
}

/// What a look at the file brought. For the log, a metric and an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Good settings are in force.
    Replaced {
        /// How many settings were in force before these.
        generation: u64,
    },
    /// The file can't be used, and the settings in force stay.
    Refused {
        /// The generation that stays.
        generation: u64,
        /// What is wrong with the file.
        problem: String,
    },
}

/// The settings in force, and the file they come from.
#[derive(Debug)]
pub struct Watch {
    path: Option<PathBuf>,
    current: Arc<ArcSwap<Settings>>,
    generation: u64,
    /// What the last look found, so that each edit is spoken of once.
    seen: Result<Vec<u8>, String>,
}

impl Watch {
    /// Settings that must be good to begin with; without a path they are the defaults.
    pub fn open(path: Option<PathBuf>) -> Result<Self, String> {
        let (seen, settings) = match &path {
            Some(path) => {
                let bytes = read(path)?;
                let settings = parse(&bytes, path)?;
                (bytes, settings)
            }
            None => (Vec::new(), Settings::default()),
        };
        let settings = here_and_now(settings);
        Ok(Self {
            path,
            current: Arc::new(ArcSwap::from_pointee(settings)),
            generation: 0,
            seen: Ok(seen),
        })
    }

    /// The settings in force, to be given to [`crate::admission::Admission`].
    pub fn current(&self) -> Arc<ArcSwap<Settings>> {
        Arc::clone(&self.current)
    }

    /// How often the settings were replaced.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Looks at the file once. By content, because the kubelet swaps a link and keeps the time of the file.
    pub fn poll(&mut self) -> Option<Event> {
        self.turn_day(&today());
        let path = self.path.as_ref()?;
        let found = read(path);
        if found == self.seen {
            return None;
        }
        let settings = match &found {
            // The defaults deny; nobody asks for them by emptying a file.
            Ok(bytes) if is_empty(bytes) => Err(format!(
                "{}: is empty; write {{}} for the defaults",
                path.display()
            )),
            Ok(bytes) => parse(bytes, path),
            Err(problem) => Err(problem.clone()),
        };
        self.seen = found;
        Some(match settings {
            Ok(settings) => {
                self.current.store(Arc::new(here_and_now(settings)));
                self.generation += 1;
                Event::Replaced {
                    generation: self.generation,
                }
            }
            Err(problem) => Event::Refused {
                generation: self.generation,
                problem,
            },
        })
    }

    /// Waits for the next change of the file. May be dropped at any point.
    pub async fn next(&mut self) -> Event {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Some(event) = self.poll() {
                return event;
            }
        }
    }

    /// Exemptions end with a day, not with an edit.
    fn turn_day(&self, today: &str) {
        let settings = self.current.load();
        if settings.today.as_deref() != Some(today) {
            let mut settings = Settings::clone(&settings);
            settings.today = Some(today.to_owned());
            self.current.store(Arc::new(settings));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use natsguard_policies::policy::Action;

    use super::*;

    /// A volume as the kubelet lays it out: `..data` is a link to a folder, and the file a link through it.
    struct Volume(PathBuf);

    impl Volume {
        fn new(name: &str) -> Self {
            let root =
                std::env::temp_dir().join(format!("natsguard-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            symlink("..data/settings.yaml", root.join("settings.yaml")).unwrap();
            Self(root)
        }

        fn file(&self) -> PathBuf {
            self.0.join("settings.yaml")
        }

        fn swap(&self, version: &str, text: &str) {
            let folder = self.0.join(version);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("settings.yaml"), text).unwrap();
            let link = self.0.join("..data_tmp");
            symlink(version, &link).unwrap();
            fs::rename(&link, self.0.join("..data")).unwrap();
        }
    }

    impl Drop for Volume {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_edit_is_taken_over_through_a_swapped_link() {
        let volume = Volume::new("swap");
        volume.swap("1", "action: warn\n");
        let mut watch = Watch::open(Some(volume.file())).unwrap();
        assert_eq!(watch.current().load().action, Some(Action::Warn));
        assert_eq!(watch.poll(), None);
        volume.swap("2", "action: deny\n");
        assert_eq!(watch.poll(), Some(Event::Replaced { generation: 1 }));
        assert_eq!(watch.current().load().action, Some(Action::Deny));
        assert_eq!(watch.poll(), None);
    }

    #[test]
    fn a_bad_edit_keeps_the_old_settings_and_is_told_once() {
        let volume = Volume::new("bad");
        volume.swap("1", "action: warn\n");
        let mut watch = Watch::open(Some(volume.file())).unwrap();
        volume.swap("2", "policies: {nfs: {action: deny}}\n");
        let Some(Event::Refused {
            generation: 0,
            problem,
        }) = watch.poll()
        else {
            panic!("the edit was not refused")
        };
        let file = volume.file().display().to_string();
        assert!(
            problem.starts_with(&format!("{file}: policies: there is no policy nfs;")),
            "{problem}"
        );
        assert_eq!(watch.poll(), None);
        assert_eq!(watch.current().load().action, Some(Action::Warn));
        volume.swap("3", "action: fix\n");
        assert_eq!(watch.poll(), Some(Event::Replaced { generation: 1 }));
    }

    #[test]
    fn a_file_that_goes_away_keeps_the_old_settings() {
        let volume = Volume::new("gone");
        volume.swap("1", "action: warn\n");
        let mut watch = Watch::open(Some(volume.file())).unwrap();
        fs::remove_file(volume.0.join("..data")).unwrap();
        assert!(matches!(watch.poll(), Some(Event::Refused { .. })));
        assert_eq!(watch.poll(), None);
        assert_eq!(watch.current().load().action, Some(Action::Warn));
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let volume = Volume::new("large");
        volume.swap("1", &"# x\n".repeat(1 << 19));
        let problem = load(&volume.file()).unwrap_err();
        assert!(
            problem.ends_with("is larger than 1048576 bytes"),
            "{problem}"
        );
    }

    #[test]
    fn a_file_that_was_emptied_keeps_the_old_settings() {
        for text in ["", "\n", "# nothing\n", "---\n", "null\n"] {
            let volume = Volume::new("empty");
            volume.swap("1", "action: warn\n");
            let mut watch = Watch::open(Some(volume.file())).unwrap();
            volume.swap("2", text);
            let event = watch.poll();
            assert!(
                matches!(event, Some(Event::Refused { .. })),
                "{text:?}: {event:?}"
            );
            assert_eq!(watch.current().load().action, Some(Action::Warn));
        }
    }

    #[test]
    fn the_day_turns_without_an_edit() {
        let watch = Watch::open(None).unwrap();
        watch.turn_day("2099-01-01");
        assert_eq!(watch.current().load().today.as_deref(), Some("2099-01-01"));
    }
}
