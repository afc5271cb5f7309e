//! Names of files: whether one ends in an extension of a list, however it is dressed up.
//!
//! Of a name that systems could read differently every reading counts.

use std::collections::HashSet;

/// Behind these the extension before them counts too: `x.exe.gz` holds `x.exe`.
const WRAPS: [&str; 9] = ["gz", "bz2", "xz", "zst", "lzma", "lz", "z", "br", "lz4"];
/// A class id of Windows in place of an extension: it decides what opens the file.
const CLASS_ID: &str = "{class id}";

/// The extension of the list in which the name ends, in any reading.
pub(super) fn forbidden(name: &str, list: &HashSet<String>) -> Option<String> {
    if list.is_empty() {
        return None;
    }
    let plain: String = name.chars().filter_map(plain).collect();
    let mut readings = plain.split('\0').take(1).chain([plain.as_str()]);
    readings.find_map(|reading| {
        let reading = reading.replace('\0', "");
        let ends = [";", "::", ":$"].into_iter().filter_map(|end| {
            let (before, _) = reading.split_once(end)?;
            Some(before)
        });
        let mut cuts = ends.chain([reading.as_str()]);
        cuts.find_map(|cut| extension(last_segment(cut), list))
    })
}

/// The character without its dress: look-alikes of dots and full-width letters become what they
/// look like, what cannot be seen goes. NUL stays: it ends the name for some readers.
fn plain(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            let ascii = char::from_u32(u32::from(c) - 0xfee0);
            ascii.map(|c| c.to_ascii_lowercase())
        }
        '\u{2024}' | '\u{3002}' | '\u{ff61}' | '\u{fe52}' | '\u{6d4}' | '\u{701}' | '\u{702}'
        | '\u{a4f8}' | '\u{a60e}' | '\u{2e3c}' => Some('.'),
        '\0' => Some(c),
        _ if c.is_control() || invisible(c) => None,
        _ if c.is_whitespace() => Some(' '),
        _ => Some(c.to_ascii_lowercase()),
    }
}

/// Marks for direction, and characters without a width.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

fn last_segment(name: &str) -> &str {
    let name = name.trim_end_matches(|c| matches!(c, '/' | '\\') || is_trim(c));
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// What systems drop at a name's end, and what is left over of broken quoting.
fn is_trim(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '.' | '"' | '\'' | ',' | ';' | ':' | ')' | '>' | ']' | '`' | '?' | '*'
        )
}

fn extension(name: &str, list: &HashSet<String>) -> Option<String> {
    let mut rest = name.trim_end_matches(is_trim);
    loop {
        let (stem, last) = rest.rsplit_once('.')?;
        let last = last.trim();
        if list.contains(last) {
            return Some(last.to_owned());
        }
        if last.starts_with('{') && last.ends_with('}') && last.len() == 38 {
            return Some(CLASS_ID.to_owned());
        }
        if !WRAPS.contains(&last) {
            return None;
        }
        rest = stem.trim_end_matches(is_trim);
    }
}

/// Whether the name ends in one of these extensions, in the plainest reading.
pub(super) fn ends_in(name: &str, extensions: &[&'static str]) -> Option<&'static str> {
    let plain: String = name.chars().filter_map(plain).collect();
    let (_, last) = last_segment(&plain)
        .trim_end_matches(is_trim)
        .rsplit_once('.')?;
    extensions.iter().find(|known| **known == last).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Option<String> {
        let list = ["exe", "scr", "com", "js"].map(str::to_owned);
        forbidden(name, &list.into_iter().collect())
    }

    #[test]
    fn a_name_is_known_in_every_dress() {
        for name in [
            "x.exe",
            "X.EXE",
            "x.exe.",
            "x.exe . . ",
            "x.exe\t",
            "invoice.pdf.exe",
            "invoice.pdf      .exe",
            "x.ex\u{200b}e",
            "invoice\u{202e}fdp.exe",
            "x\u{2024}exe",
            "x\u{ff0e}exe",
            "x\u{3002}exe",
            "x.\u{ff45}\u{ff58}\u{ff45}",
            "x.exe\0.txt",
            "x.ex\0e",
            "x.e\u{ad}xe",
            "name.exe;.txt",
            "x.exe::$DATA",
            "x.exe:$DATA",
            "x.exe:",
            "..\\..\\x.exe",
            "a/b/x.exe",
            "x.exe/",
            "x.exe\"",
            "x. exe",
            ".exe",
            "x.exe.gz",
            "x.exe.bz2.xz",
            "C:\\x.exe",
            "x.exe\u{a0}",
            "x.exe\u{3000}",
            "x.exe\r\n",
            "x.txt.{00020906-0000-0000-c000-000000000046}",
        ] {
            assert!(found(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "",
            ".",
            "exe",
            "x.txt",
            "x.exe.txt",
            "xexe",
            "x.ex",
            "x.exec",
            "the exe",
            "a.exe/b.txt",
            "Re: mail.com: report.pdf",
            "x.gz",
            "x.{a}",
            "R\u{e9}sum\u{e9}.doc",
        ] {
            assert_eq!(found(name), None, "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(name: String) {
            found(&name);
            ends_in(&name, &["eml"]);
        }
    }
}
