//! From a list's lines to its index: entries, actions, includes, and CDB files.

use std::io::Read as _;
use std::path::Path;

use posthouse_hook::proofs::ForgedAction;
use posthouse_hook::{Domain, Host, Live};

use super::canon;
use super::glob::{Glob, is_pattern};
use super::index::{Builder, Index, Saying, Whole};
use crate::sources::{Renew, Sources};

const FILE: &str = "file:";
/// How deep files may include one another.
const MAX_DEPTH: usize = 16;
/// Most octets of all the files of a list.
const MAX_OCTETS: usize = 256 << 20;
/// Longest text of a line in octets.
const MAX_TEXT: usize = 400;

/// A list, compiled again when one of its files changes.
pub(super) struct List {
    entries: Vec<String>,
    live: Live<Index>,
}

impl List {
    /// The list of these entries, each a line or `file:PATH`, and where its index will be.
    pub(super) fn new(entries: Vec<String>) -> (Self, Live<Index>) {
        let live = Live::default();
        let list = Self {
            entries,
            live: live.clone(),
        };
        (list, live)
    }
}

impl Renew for List {
    fn renew(&mut self, sources: &mut Sources) -> Result<(), String> {
        let mut compiler = Compiler::new(sources);
        for entry in &self.entries {
            match entry.strip_prefix(FILE) {
                Some(name) => compiler.file(Path::new(name))?,
                None => compiler.inline(entry)?,
            }
        }
        let index = compiler.builder.finish();
        tracing::info!(list = self.name(), entries = index.len(), "list compiled");
        self.live.swap(index);
        Ok(())
    }

    fn name(&self) -> String {
        self.entries.join(", ")
    }
}

struct Compiler<'a> {
    sources: &'a mut Sources,
    builder: Builder,
    octets: usize,
    depth: usize,
}

/// What a line comes to.
enum Line<'a> {
    Empty,
    Include(&'a str),
    Entry(&'a str, Saying),
}

impl<'a> Compiler<'a> {
    fn new(sources: &'a mut Sources) -> Self {
        Self {
            sources,
            builder: Builder::default(),
            octets: 0,
            depth: 0,
        }
    }

    fn inline(&mut self, entry: &str) -> Result<(), String> {
        let file = self.builder.file("list")?;
        match line(entry)? {
            Line::Entry(key, says) => add(&mut self.builder, key, (file, 1), says),
            _ => Err(format!("`{entry}` is no entry; write file:PATH for a file")),
        }
    }

    fn file(&mut self, name: &Path) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            let place = self.sources.path(name);
            return Err(format!("{}: included too deep", place.display()));
        }
        self.depth += 1;
        match name.extension().is_some_and(|end| end == "cdb") {
            true => self.cdb(name)?,
            false => self.text(name)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn text(&mut self, name: &Path) -> Result<(), String> {
        let text = self.sources.read(name)?;
        self.count(name, text.len())?;
        let place = self.sources.path(name).display().to_string();
        let file = self.builder.file(place.clone())?;
        for (at, written) in text.lines().enumerate() {
            let here = |problem: String| format!("{place}:{}: {problem}", at + 1);
            match line(written).map_err(here)? {
                Line::Empty => {}
                Line::Include(other) => {
                    let beside = name.parent().unwrap_or(Path::new(""));
                    let included = self.file(&beside.join(other));
                    included.map_err(|e| if self.depth > MAX_DEPTH { here(e) } else { e })?;
                }
                Line::Entry(key, says) => {
                    let at = (file, number(at + 1));
                    add(&mut self.builder, key, at, says).map_err(here)?;
                }
            }
        }
        Ok(())
    }

    /// A constant database: the keys are entries, the data are actions and texts.
    fn cdb(&mut self, name: &Path) -> Result<(), String> {
        let path = self.sources.open(name)?;
        let place = path.display().to_string();
        let fault = |problem: String| format!("{place}: {problem}");
        let records = whole_cdb(&path).map_err(|e| fault(e.to_string()))?;
        let file = self.builder.file(place.clone())?;
        let cdb = cdb2::CDB::open(&path).map_err(|e| fault(e.to_string()))?;
        let mut count = 0;
        for record in cdb.iter() {
            let (key, data) = record.map_err(|e| fault(e.to_string()))?;
            self.count(name, key.len() + data.len())?;
            count += 1;
            let here = |problem: String| format!("{place}: record {count}: {problem}");
            let key = str::from_utf8(&key).map_err(|e| here(e.to_string()))?;
            let data = String::from_utf8_lossy(&data);
            let says = saying(data.trim_matches(['\0', ' ', '\n'])).map_err(here)?;
            add(
                &mut self.builder,
                key.trim_end_matches('\0'),
                (file, number(count)),
                says,
            )
            .map_err(here)?;
        }
        if count != records {
            return Err(fault(format!(
                "{records} records in its table and {count} in it"
            )));
        }
        Ok(())
    }

    fn count(&mut self, name: &Path, octets: usize) -> Result<(), String> {
        self.octets += octets;
        if self.octets > MAX_OCTETS {
            let place = self.sources.path(name);
            return Err(format!(
                "{}: the list's files are more than {MAX_OCTETS} octets",
                place.display()
            ));
        }
        Ok(())
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// How many records a constant database says it has, if its tables fill it to its end: a file that is
/// cut or of another kind is none.
fn whole_cdb(path: &Path) -> std::io::Result<usize> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = [0; 2048];
    file.read_exact(&mut head)
        .map_err(|_| std::io::Error::other("no constant database"))?;
    let (pairs, _) = head.as_chunks::<8>();
    let slots =
        |pair: &[u8; 8]| u64::from(u32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]]));
    let all: u64 = pairs.iter().map(slots).sum();
    let records_end = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]]));
    if records_end < 2048 || records_end + 8 * all != size {
        return Err(std::io::Error::other("no whole constant database"));
    }
    Ok(usize::try_from(all / 2).unwrap_or(usize::MAX))
}

/// Reads one line. A `#` at its beginning or behind white space begins a comment.
fn line(written: &str) -> Result<Line<'_>, String> {
    let text = without_comment(written).trim();
    let (key, rest) = text
        .split_once(char::is_whitespace)
        .map_or((text, ""), |(key, rest)| (key, rest.trim()));
    match key {
        "" => Ok(Line::Empty),
        "include" if !rest.is_empty() => Ok(Line::Include(rest)),
        key => Ok(Line::Entry(key, saying(rest)?)),
    }
}

fn without_comment(line: &str) -> &str {
    let begins = |at: &usize| {
        line[..*at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace)
    };
    let mut marks = line.match_indices('#').map(|(at, _)| at);
    marks.find(begins).map_or(line, |at| &line[..at])
}

/// An action, and perhaps a text behind it.
fn saying(text: &str) -> Result<Saying, String> {
    let (word, text) = text
        .split_once(char::is_whitespace)
        .map_or((text, ""), |(word, text)| (word, text.trim()));
    if text.len() > MAX_TEXT {
        return Err(format!("the text is longer than {MAX_TEXT} octets"));
    }
    let action = match word {
        "" => None,
        word => Some(action(word)?),
    };
    let text = (!text.is_empty()).then(|| text.to_owned());
    Ok(Saying { action, text })
}

/// An action by its name.
pub(super) fn action(word: &str) -> Result<ForgedAction, String> {
    match word {
        "reject" => Ok(ForgedAction::Reject),
        "hold" => Ok(ForgedAction::Hold),
        "discard" => Ok(ForgedAction::Discard),
        "note" => Ok(ForgedAction::Note),
        word => Err(format!(
            "`{word}` is no action; write reject, hold, discard or note, and a text behind it"
        )),
    }
}

/// Adds one entry in whichever of its forms it is.
fn add(builder: &mut Builder, key: &str, at: (u16, u32), says: Saying) -> Result<(), String> {
    let (local, host) = match key.rsplit_once('@') {
        Some((local, host)) => (local, host),
        None => ("", key),
    };
    if is_pattern(key) && Host::parse(host).is_err() {
        return add_pattern(builder, key, at, says);
    }
    let (dot, name) = match (local, host.strip_prefix('.')) {
        ("", Some(name)) => (".", name),
        _ => ("", host),
    };
    let name = host_name(name).ok_or_else(|| {
        format!("`{key}` is neither ann@x.example nor x.example, .x.example or a pattern")
    })?;
    match (local, dot) {
        ("", ".") => builder.key(&[".", &name], at, says),
        (local, _) if local.is_ascii() => {
            builder.key(&[&local.to_ascii_lowercase(), "@", &name], at, says)
        }
        (local, _) => builder.key(&[&canon::fold(local), "@", &name], at, says),
    }
}

fn add_pattern(
    builder: &mut Builder,
    key: &str,
    at: (u16, u32),
    says: Saying,
) -> Result<(), String> {
    let key = canon::fold(key);
    let (of, pattern) = match key.strip_prefix('@') {
        Some(domain) => (Whole::Domain, domain.to_owned()),
        None if key.contains('@') => (Whole::Address, key),
        None if key.starts_with('.') => (Whole::Domain, format!("*{key}")),
        None => (Whole::Domain, key),
    };
    builder.pattern(Glob::parse(&pattern)?, of, at, says)
}

/// A domain or an address literal in its one spelling.
fn host_name(text: &str) -> Option<String> {
    if text.starts_with('[') {
        return Host::parse(text)
            .ok()
            .map(|host| host.to_string().to_lowercase());
    }
    Domain::parse(&canon::domain(text)).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = Self(tempfile::tempdir().expect("a directory"));
            files.iter().for_each(|(name, text)| dir.write(name, text));
            dir
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).expect("written");
        }

        fn compile(&self, entries: &[&str]) -> Result<Live<Index>, String> {
            let entries = entries.iter().map(|&e| e.to_owned()).collect();
            let (mut list, live) = List::new(entries);
            list.renew(&mut Sources::new(self.0.path())).map(|()| live)
        }
    }

    fn line_of(live: &Live<Index>, address: &str) -> Option<u32> {
        live.load().find(address).map(|found| found.line)
    }

    #[test]
    fn each_form_of_a_line() {
        let text = "# comment\nAnn@X.example hold  keep it # why\n@y.example\n.z.example discard\n\
                    *.w.example\nboss?@*\nbücher.example note\nu@[192.0.2.1]\nv.example. reject No #1 here\n";
        let live = Dir::new(&[("l", text)])
            .compile(&["file:l"])
            .expect("valid");
        for (address, line) in [
            ("ann@x.example", Some(2)),
            ("bob@x.example", None),
            ("bob@y.example", Some(3)),
            ("bob@a.z.example", Some(4)),
            ("bob@z.example", None),
            ("bob@a.w.example", Some(5)),
            ("boss1@any.example", Some(6)),
            ("a@xn--bcher-kva.example", Some(7)),
            ("u@[192.0.2.1]", Some(8)),
            ("v@v.example", Some(9)),
        ] {
            assert_eq!(line_of(&live, address), line, "{address}");
        }
        let index = live.load();
        let says = |address| index.find(address).expect("listed").saying.clone();
        let held = says("ann@x.example");
        assert_eq!(held.action, Some(ForgedAction::Hold));
        assert_eq!(held.text.as_deref(), Some("keep it"));
        assert_eq!(says("v@v.example").text.as_deref(), Some("No"));
        assert_eq!(says("v@y.example"), Saying::default());
    }

    #[test]
    fn faults_name_file_line_and_value() {
        for (text, want) in [
            ("a.example\nb example", "l:2: `example` is no action"),
            ("exa_mple..com", "l:1: `exa_mple..com` is neither"),
            ("a@", "l:1: `a@` is neither"),
            ("[a", "l:1: `[a`: `[` begins a set"),
            ("include none", "none: No such file"),
            ("include l", "included too deep"),
        ] {
            let error = Dir::new(&[("l", text)]).compile(&["file:l"]).map(drop);
            let error = error.expect_err(text);
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn files_include_one_another_sixteen_deep() {
        let dir = Dir::new(&[("l17", "a.example")]);
        (1..17).for_each(|n| dir.write(&format!("l{n}"), &format!("include l{}", n + 1)));
        let live = dir.compile(&["file:l2"]).expect("sixteen");
        assert_eq!(line_of(&live, "x@a.example"), Some(1));
        assert!(dir.compile(&["file:l1"]).is_err(), "seventeen");
    }

    #[test]
    fn a_fault_in_an_included_file_keeps_the_old_list() {
        let dir = Dir::new(&[("l", "include more"), ("more", "a.example")]);
        let (mut list, live) = List::new(vec!["file:l".to_owned(), "c.example".to_owned()]);
        let mut sources = Sources::new(dir.0.path());
        list.renew(&mut sources).expect("valid");
        assert!(!sources.changed());
        dir.write("more", "b.example\n\nbroken line here\n");
        assert!(sources.changed(), "an include is watched");
        sources.clear();
        let error = list.renew(&mut sources).expect_err("broken");
        assert!(error.contains("more:3: "), "{error}");
        assert_eq!(line_of(&live, "x@a.example"), Some(1));
        dir.write("more", "\nb.example\n");
        assert!(sources.changed());
        list.renew(&mut sources).expect("mended");
        assert_eq!(line_of(&live, "x@a.example"), None);
        assert_eq!(line_of(&live, "x@b.example"), Some(2));
        assert_eq!(line_of(&live, "x@c.example"), Some(1));
    }

    #[test]
    fn a_constant_database_is_read_as_such() {
        let dir = Dir::new(&[]);
        let file = dir.0.path().join("l.cdb");
        let mut writer = cdb2::CDBWriter::create(&file).expect("made");
        for (key, data) in [
            ("ann@x.example", ""),
            (".y.example", "hold why\0"),
            ("*z*", "note"),
        ] {
            writer
                .add(key.as_bytes(), data.as_bytes())
                .expect("written");
        }
        writer.finish().expect("written");
        let live = dir.compile(&["file:l.cdb"]).expect("valid");
        assert_eq!(line_of(&live, "ann@x.example"), Some(1));
        assert_eq!(line_of(&live, "a@b.y.example"), Some(2));
        assert_eq!(line_of(&live, "a@xzx.example"), Some(3));

        let whole = std::fs::read(&file).expect("read");
        let zeros = vec![0; 4096];
        let text = "x.example\n".repeat(500);
        for broken in [
            &whole[..whole.len() - 8],
            &whole[..100],
            &zeros,
            text.as_bytes(),
        ] {
            std::fs::write(&file, broken).expect("written");
            assert!(dir.compile(&["file:l.cdb"]).is_err(), "{}", broken.len());
        }
    }
}
