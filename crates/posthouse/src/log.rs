//! Logs: structured, on standard error, as text or JSON.
//!
//! The thread that serves everybody gathers its lines and writes them together whenever it is
//! about to wait, which spares a busy server most of these writes and delays no line of an idle
//! one. A warning or an error goes out at once, with all that was said before it, and so does
//! every line of other threads.

use std::cell::RefCell;
use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFilter, LogFormat};

/// What is logged by default: our own doings, and of the migrations only what goes wrong.
const DEFAULT: &str = "info,refinery_core=warn";
/// Octets that are gathered at the most, before the thread waits.
const MOST: usize = 16 * 1024;

thread_local! {
    /// Lines of this thread that are not written yet, if it gathers any.
    static GATHERED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Starts logging. The environment's `POSTHOUSE_LOG` beats the configuration.
pub(crate) fn start(config: &Log) {
    let wanted = std::env::var("POSTHOUSE_LOG").ok();
    let filter = wanted
        .as_deref()
        .or(config.filter.as_ref().map(LogFilter::as_str))
        .unwrap_or(DEFAULT);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(Lines);
    // A second start, as in tests, keeps the first.
    let _ = match config.format {
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}

/// While it lives, this thread gathers its lines: it must call [`write_gathered`] before it waits.
pub(crate) struct Gathering;

impl Gathering {
    pub(crate) fn begin() -> Self {
        GATHERED.set(Some(Vec::with_capacity(MOST)));
        Self
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        write_gathered();
        GATHERED.set(None);
    }
}

/// Writes what this thread has gathered.
pub(crate) fn write_gathered() {
    GATHERED.with_borrow_mut(|gathered| {
        if let Some(lines) = gathered {
            write_out(lines);
        }
    });
}

/// There is nobody to tell of an error here.
fn write_out(lines: &mut Vec<u8>) {
    if !lines.is_empty() {
        let _ = io::stderr().write_all(lines);
        lines.clear();
    }
}

/// Makes the writer of each line.
struct Lines;

/// The writer of one line.
struct Line {
    urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { urgent: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        let urgent = *meta.level() <= Level::WARN;
        Line { urgent }
    }
}

impl Write for Line {
    /// Takes a whole line, as the subscriber formats it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        GATHERED.with_borrow_mut(|gathered| match gathered {
            Some(lines) => {
                lines.extend_from_slice(line);
                if self.urgent || lines.len() >= MOST {
                    write_out(lines);
                }
                Ok(line.len())
            }
            None => io::stderr().write_all(line).map(|()| line.len()),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(urgent: bool, line: &str) {
        let mut writer = Line { urgent };
        writer.write_all(line.as_bytes()).expect("taken");
    }

    fn gathered() -> Option<usize> {
        GATHERED.with_borrow(|lines| lines.as_ref().map(Vec::len))
    }

    #[test]
    fn lines_wait_for_the_thread_to_wait_and_never_for_long() {
        let gathering = Gathering::begin();
        say(false, "one\n");
        say(false, "two\n");
        assert_eq!(gathered(), Some(8));
        write_gathered();
        assert_eq!(gathered(), Some(0));
        say(false, "three\n");
        say(true, "an error\n");
        assert_eq!(gathered(), Some(0));
        say(false, &"x".repeat(MOST));
        assert_eq!(gathered(), Some(0));
        say(false, "last\n");
        drop(gathering);
        assert_eq!(gathered(), None);
    }
}
