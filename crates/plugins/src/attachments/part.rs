//! One part: its header section, and its body in every reading of its transfer encoding.

use super::blob::Blob;
use super::cause::{Cause, Limit};
use super::decode::{Base64, Quoted};
use super::look::{Go, Look, Stop};
use super::mime::{Line, Walker};
use super::params;
use super::text::Text;
use super::words;

/// Longest field that tells of an attachment, in octets.
const MAX_FIELD: usize = 64 * 1024;
/// Most bodies of one part: readings of encodings, and where the header section ends.
const MAX_BODIES: usize = 12;
/// Most boundaries that one header section may declare.
const MAX_BOUNDARIES: usize = 64;
/// Most fields of type and encoding that one header section may have.
const MAX_FIELDS: usize = 1000;
/// Octets that are kept of a name for display.
const MAX_NAME: usize = 200;

/// A part of a message, or a message.
pub(super) struct Part {
    place: String,
    depth: usize,
    /// The header section, while it lasts.
    head: Option<Head>,
    bodies: Vec<Body>,
}

/// What a header section tells.
#[derive(Default)]
struct Head {
    /// The field that is being read, if it is one that tells of attachments.
    field: Option<Vec<u8>>,
    /// Whether it was noted what the field says without the junk behind it.
    noted: bool,
    /// What came of a line of which only bare CRs have ended so far.
    bare: Vec<u8>,
    name: String,
    types: Vec<String>,
    encodings: Vec<String>,
    boundaries: Vec<Vec<u8>>,
    /// Whether a line was met that is no field: for some readers the body begins there.
    junk: bool,
}

/// What a header section declared for the lines to come.
pub(super) struct Declared {
    pub(super) multipart: bool,
    /// Whether all readers agree about the boundary.
    pub(super) sure: bool,
    pub(super) boundaries: Vec<Vec<u8>>,
}

/// The body, read in one way.
struct Body {
    code: Code,
    blob: Blob,
    text: Text,
    out: Vec<u8>,
}

enum Code {
    Raw,
    Base64(Base64),
    Quoted(Quoted),
}

impl Part {
    pub(super) fn new(place: String, depth: usize) -> Self {
        Self {
            place,
            depth,
            head: Some(Head::default()),
            bodies: Vec::new(),
        }
    }

    /// Takes a line; tells what was declared if the header section ends with it.
    pub(super) fn line(
        &mut self,
        line: Line<'_>,
        look: &mut Look<'_>,
    ) -> Result<Option<Declared>, Stop> {
        for body in &mut self.bodies {
            body.feed(line.bytes, look)?;
        }
        let Some(head) = &mut self.head else {
            return Ok(None);
        };
        if !line.first {
            head.more(line.bytes, look)?;
            return Ok(None);
        }
        if line.is_surely_empty() {
            return self.end_of_head(look).map(Some);
        }
        let joined = head.join(line, look)?;
        match Shape::of(line.text()) {
            Shape::Field => {
                head.close_field(&self.place, look)?;
                head.open_field(line.bytes);
            }
            Shape::Folded => head.more(line.bytes, look)?,
            Shape::Empty => {
                head.note_once(&self.place, look)?;
                head.more(line.bytes, look)?;
                self.body_beside(line, look)?;
            }
            Shape::Junk => {
                head.note_once(&self.place, look)?;
                head.more(line.bytes, look)?;
                if !std::mem::replace(&mut head.junk, true) {
                    self.body_beside(line, look)?;
                }
            }
        }
        if let (Some(joined), Some(head)) = (joined, &mut self.head) {
            head.close_field(&self.place, look)?;
            head.field = Some(joined);
        }
        Ok(None)
    }

    /// For some readers the body begins here: it is read beside the header section.
    fn body_beside(&mut self, line: Line<'_>, look: &mut Look<'_>) -> Go {
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        head.junk = true;
        let mut bodies = head.bodies(&self.place, self.depth, look)?;
        for body in &mut bodies {
            body.feed(line.bytes, look)?;
        }
        self.bodies.append(&mut bodies);
        look.within(self.bodies.len() <= MAX_BODIES, Limit::Form)
    }

    /// The empty line: what follows is the body, or the header section of the message in it.
    fn end_of_head(&mut self, look: &mut Look<'_>) -> Result<Declared, Stop> {
        let mut head = self.head.take().unwrap_or_default();
        head.close_field(&self.place, look)?;
        let mut bodies = head.bodies(&self.place, self.depth, look)?;
        if head.is("message/partial") {
            look.find(Cause::Closed("piece of a message"), &head.name, &self.place)?;
        }
        if head.is("message/") {
            bodies.retain(|body| !matches!(body.code, Code::Raw));
            look.part()?;
            self.head = Some(Head::default());
        }
        self.bodies.append(&mut bodies);
        look.within(self.bodies.len() <= MAX_BODIES, Limit::Form)?;
        Ok(Declared {
            multipart: head.is("multipart/"),
            sure: head.is_sure(),
            boundaries: head.boundaries,
        })
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        if let Some(mut head) = self.head.take() {
            head.close_field(&self.place, look)?;
        }
        self.bodies.iter_mut().try_for_each(|body| body.end(look))
    }
}

/// What a line in a header section looks like.
#[derive(PartialEq)]
enum Shape {
    /// Nothing that is seen: the end of the header section for some readers or all.
    Empty,
    Folded,
    Field,
    Junk,
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        match text.first() {
            _ if text.trim_ascii().is_empty() => Self::Empty,
            Some(b' ' | b'\t') => Self::Folded,
            _ if field_name(text).is_some() => Self::Field,
            _ => Self::Junk,
        }
    }
}

/// A field's name in lower case, whatever stands between it and the colon.
fn field_name(text: &[u8]) -> Option<(String, usize)> {
    let colon = text.iter().take(200).position(|byte| *byte == b':')?;
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-' || **byte == b'_';
    let name = text[..colon].iter().filter(is_name);
    let name: String = name
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    (!name.is_empty()).then_some((name, colon))
}

/// Whether a field may tell of attachments.
fn tells(line: &[u8]) -> bool {
    field_name(line).is_some_and(|(name, _)| name.starts_with("content"))
}

impl Head {
    fn open_field(&mut self, line: &[u8]) {
        self.field = tells(line).then(|| line.to_vec());
    }

    /// The line as readers have it for whom a bare CR is nothing, if it is a field for them.
    fn join(&mut self, line: Line<'_>, look: &mut Look<'_>) -> Result<Option<Vec<u8>>, Stop> {
        if !line.after_cr {
            self.bare.clear();
        }
        let ends = !line.bytes.ends_with(b"\r");
        if ends && self.bare.is_empty() {
            return Ok(None);
        }
        let text = line.bytes.strip_suffix(b"\r").unwrap_or(line.bytes);
        self.bare.extend_from_slice(text);
        look.within(self.bare.len() <= MAX_FIELD, Limit::Form)?;
        Ok(tells(&self.bare)
            .then(|| self.bare.clone())
            .filter(|_| ends))
    }

    /// More of the field that is being read.
    fn more(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        let Some(field) = &mut self.field else {
            return Ok(());
        };
        field.extend_from_slice(bytes);
        look.within(field.len() <= MAX_FIELD, Limit::Form)
    }

    /// The field that is being read is over.
    fn close_field(&mut self, place: &str, look: &mut Look<'_>) -> Go {
        self.note_field(place, look)?;
        self.field = None;
        self.noted = false;
        Ok(())
    }

    /// Notes what the field tells to readers for whom it ends before the first line of junk.
    fn note_once(&mut self, place: &str, look: &mut Look<'_>) -> Go {
        match std::mem::replace(&mut self.noted, true) {
            true => Ok(()),
            false => self.note_field(place, look),
        }
    }

    /// Notes what the field tells so far.
    fn note_field(&mut self, place: &str, look: &mut Look<'_>) -> Go {
        let Some(field) = self.field.clone() else {
            return Ok(());
        };
        let Some((name, colon)) = field_name(&field) else {
            return Ok(());
        };
        let value = &field[colon + 1..];
        match name.as_str() {
            "content-type" => self.content_type(value, look)?,
            "content-transfer-encoding" => self.encodings.push(flat(value)),
            _ => {}
        }
        look.within(
            self.types.len() + self.encodings.len() <= MAX_FIELDS,
            Limit::Form,
        )?;
        self.names(value, place, look)
    }

    fn content_type(&mut self, value: &[u8], look: &mut Look<'_>) -> Go {
        let flat = flat(value);
        let main = flat.split(';').next().unwrap_or_default();
        self.types.push(main.chars().take(80).collect());
        let boundaries = params::boundaries(value);
        look.within(boundaries.is_ok(), Limit::Form)?;
        self.boundaries.extend(boundaries.unwrap_or_default());
        look.within(self.boundaries.len() <= MAX_BOUNDARIES, Limit::Form)
    }

    fn names(&mut self, value: &[u8], place: &str, look: &mut Look<'_>) -> Go {
        let names = params::names(value);
        look.within(names.is_ok(), Limit::Form)?;
        let mut names = names.unwrap_or_default();
        // What people would call it is told first.
        names.sort_by_key(|name| !words::is_plain(name));
        for name in names {
            look.name(&name, place)?;
            if !words::is_plain(&self.name) && (self.name.is_empty() || words::is_plain(&name)) {
                self.name = name.chars().take(MAX_NAME).collect();
            }
        }
        Ok(())
    }

    fn is(&self, start: &str) -> bool {
        self.types.iter().any(|one| one.starts_with(start))
    }

    /// Whether every reader takes this for the same multipart: one type, one boundary, no encoding.
    fn is_sure(&self) -> bool {
        let plain = self.encodings.iter().all(|one| is_identity(one));
        !self.junk
            && plain
            && self.types.len() == 1
            && self.is("multipart/")
            && self.boundaries.len() == 1
    }

    /// The body in each reading.
    fn bodies(&self, place: &str, depth: usize, look: &mut Look<'_>) -> Result<Vec<Body>, Stop> {
        let odd = self.encodings.len() > 1 || self.encodings.iter().any(|one| !is_known(one));
        let says = |word: &str| self.encodings.iter().any(|one| one.contains(word));
        let mut codes = Vec::new();
        if odd || !(says("base64") || says("quoted")) {
            codes.push(Code::Raw);
        }
        if odd || says("base64") {
            codes.push(Code::Base64(Base64::default()));
        }
        if odd || says("quoted") {
            codes.push(Code::Quoted(Quoted::default()));
        }
        codes
            .into_iter()
            .map(|code| self.body(code, place, depth, look))
            .collect()
    }

    fn body(
        &self,
        code: Code,
        place: &str,
        depth: usize,
        look: &mut Look<'_>,
    ) -> Result<Body, Stop> {
        let mut blob = Blob::new(&self.name, place, depth);
        if !matches!(code, Code::Raw) {
            if self.is("message/") {
                look.depth(depth + 1)?;
                blob.is_message(Walker::message(depth + 1, place.to_owned()));
            } else if self.is("multipart/") {
                look.depth(depth + 1)?;
                blob.is_message(Walker::inside(
                    depth + 1,
                    place.to_owned(),
                    &self.boundaries,
                ));
            }
        }
        Ok(Body {
            code,
            blob,
            text: Text::new(place, depth),
            out: Vec::new(),
        })
    }
}

/// Whether the encoding is the identity (RFC 2045 §6.2).
fn is_identity(encoding: &str) -> bool {
    matches!(encoding, "7bit" | "8bit" | "binary" | "")
}

fn is_known(encoding: &str) -> bool {
    is_identity(encoding) || matches!(encoding, "base64" | "quoted-printable")
}

/// The value in lower case, on one line, without white space.
fn flat(value: &[u8]) -> String {
    let shown = value
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && !byte.is_ascii_control());
    shown
        .take(300)
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

impl Body {
    fn feed(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        self.out.clear();
        let plain = match &mut self.code {
            Code::Raw => bytes,
            Code::Base64(decoder) => {
                decoder.feed(bytes, &mut self.out);
                &self.out
            }
            Code::Quoted(decoder) => {
                decoder.feed(bytes, &mut self.out);
                &self.out
            }
        };
        self.blob.feed(plain, look)?;
        self.text.feed(plain, look)
    }

    fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.blob.end(look)?;
        self.text.end(look)
    }
}
