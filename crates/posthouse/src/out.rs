//! Standard output that may be cut short: `posthouse held list | head` ends quietly.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Writes to standard output. Nobody reads it any more: the process ends, as other tools do.
pub(crate) fn write(text: Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("posthouse: standard output: {error}");
            std::process::exit(1);
        }
    }
}

/// Like `print!`, through [`write()`].
macro_rules! out {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}

/// Like `println!`, through [`write()`].
macro_rules! outln {
    () => { $crate::out::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {out, outln};
