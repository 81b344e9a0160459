//! How far a long scan has come, for the person who waits for it at a terminal.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// What is done sooner needs no word.
const SILENCE: Duration = Duration::from_secs(1);

/// Nobody reads faster.
const PERIOD: Duration = Duration::from_millis(100);

/// One line that replaces itself.
pub(super) struct Progress {
    /// Where it is written: nowhere when nobody watches.
    out: Option<Box<dyn Write + Send>>,
    /// When the next word is due.
    due: Instant,
    is_shown: bool,
}

impl Progress {
    /// On standard error, when that is a terminal.
    pub(super) fn new() -> Self {
        let out = io::stderr()
            .is_terminal()
            .then(|| Box::new(io::stderr()) as Box<dyn Write + Send>);
        Self::on(out, Instant::now())
    }

    fn on(out: Option<Box<dyn Write + Send>>, began: Instant) -> Self {
        Self {
            out,
            due: began + SILENCE,
            is_shown: false,
        }
    }

    /// Says how far it is, when it is time.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        self.say_at(Instant::now(), text);
    }

    fn say_at(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if let Some(out) = &mut self.out
            && now >= self.due
        {
            let _ = write!(out, "\r{}\u{1b}[K", text()).and_then(|()| out.flush());
            self.due = now + PERIOD;
            self.is_shown = true;
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if let Some(out) = &mut self.out
            && self.is_shown
        {
            let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
            self.is_shown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(at: &[u64]) -> String {
        let (screen, began) = (Screen::default(), Instant::now());
        let mut progress = Progress::on(Some(Box::new(screen.clone())), began);
        for millis in at {
            progress.say_at(began + Duration::from_millis(*millis), || {
                millis.to_string()
            });
        }
        progress.end();
        String::from_utf8(screen.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_is_done_in_a_second_needs_no_word() {
        assert_eq!(shown(&[0, 500, 999]), "");
    }

    #[test]
    fn one_line_replaces_itself_and_goes() {
        assert_eq!(
            shown(&[0, 1000, 1050, 1100]),
            "\r1000\u{1b}[K\r1100\u{1b}[K\r\u{1b}[K"
        );
    }
}
