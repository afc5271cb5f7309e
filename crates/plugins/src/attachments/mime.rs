//! A message's parts, as every reader at once would see them.
//!
//! There is no tree. A line that may be a delimiter of any boundary that was ever declared begins a
//! part; whatever may still be going on before it goes on beside. Only where no reader could see it
//! otherwise does a part end.

use super::cause::Limit;
use super::look::{Go, Look};
use super::part::{Declared, Part};

/// Longest line that is looked at as a whole, in octets. A boundary has 70 at the most.
const MAX_LINE: usize = 4096;
/// Most parts that may be going on at once, and most boundaries of a message.
const MAX_OPEN: usize = 8;
const MAX_BOUNDARIES: usize = 256;

/// A piece of a line, with its end if it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'b> {
    pub(super) bytes: &'b [u8],
    /// Whether the line begins with it.
    pub(super) first: bool,
    /// Whether the line before ended in a bare CR, which is no end for some readers.
    pub(super) after_cr: bool,
}

impl<'b> Line<'b> {
    /// Whether this is an empty line for every reader: no bare CR is around.
    pub(super) fn is_surely_empty(&self) -> bool {
        !self.after_cr && matches!(self.bytes, b"\r\n" | b"\n")
    }

    /// Without the line's end.
    pub(super) fn text(&self) -> &'b [u8] {
        let end = self
            .bytes
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        &self.bytes[..end.map_or(0, |end| end + 1)]
    }
}

/// A message, or the inside of a multipart.
pub(super) struct Walker {
    place: String,
    depth: usize,
    held: Vec<u8>,
    /// Whether what comes next begins a line, and whether the line before ended in a bare CR.
    first: bool,
    after_cr: bool,
    boundaries: Vec<Boundary>,
    /// A multipart without a boundary was seen: some readers guess it.
    guess: bool,
    open: Vec<Part>,
}

struct Boundary {
    text: Vec<u8>,
    /// Whether every reader takes its delimiters for such, as far as is known.
    sure: bool,
}

/// What a line may be.
#[derive(Clone, Copy, PartialEq)]
enum Delimiter {
    /// One for every reader.
    Sure,
    /// One for some.
    Maybe,
    No,
}

impl Walker {
    /// A message from its header section on.
    pub(super) fn message(depth: usize, place: String) -> Self {
        let mut walker = Self::inside(depth, place, &[]);
        walker.guess = false;
        walker.open.push(Part::new(walker.place.clone(), depth));
        walker
    }

    /// The inside of a multipart with these boundaries.
    pub(super) fn inside(depth: usize, place: String, boundaries: &[Vec<u8>]) -> Self {
        let boundary = |text: &Vec<u8>| Boundary {
            text: text.clone(),
            sure: false,
        };
        Self {
            place,
            depth,
            held: Vec::new(),
            first: true,
            after_cr: false,
            boundaries: boundaries.iter().map(boundary).collect(),
            guess: boundaries.is_empty(),
            open: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], look: &mut Look<'_>) -> Go {
        while let Some(end) = line_end(&self.held, bytes) {
            self.take(&bytes[..end], look)?;
            bytes = &bytes[end..];
        }
        self.held.extend_from_slice(bytes);
        if self.held.len() > MAX_LINE && self.held.last() != Some(&b'\r') {
            return self.take(&[], look);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, look: &mut Look<'_>) -> Go {
        self.take(&[], look)?;
        let mut open = std::mem::take(&mut self.open);
        open.iter_mut().try_for_each(|part| part.end(look))
    }

    /// What is held and these octets are a line, or a piece of a long one.
    fn take(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        if self.held.is_empty() {
            return self.piece(bytes, look);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let went = self.piece(&held, look);
        held.clear();
        self.held = held;
        went
    }

    fn piece(&mut self, bytes: &[u8], look: &mut Look<'_>) -> Go {
        if bytes.is_empty() {
            return Ok(());
        }
        let line = Line {
            bytes,
            first: self.first,
            after_cr: self.after_cr,
        };
        let went = self.line(line, look);
        self.first = matches!(bytes.last(), Some(b'\r' | b'\n'));
        self.after_cr = bytes.last() == Some(&b'\r');
        went
    }

    fn line(&mut self, line: Line<'_>, look: &mut Look<'_>) -> Go {
        match self.delimiter(line) {
            Delimiter::Sure => {
                let mut ended = std::mem::take(&mut self.open);
                ended.iter_mut().try_for_each(|part| part.end(look))?;
                self.begin(look)
            }
            Delimiter::Maybe => {
                self.parts(line, look)?;
                self.begin(look)
            }
            Delimiter::No => self.parts(line, look),
        }
    }

    fn begin(&mut self, look: &mut Look<'_>) -> Go {
        let number = look.part()?;
        look.within(self.open.len() < MAX_OPEN, Limit::Form)?;
        let place = format!("{}/{number}", self.place);
        self.open.push(Part::new(
            place.trim_start_matches('/').to_owned(),
            self.depth,
        ));
        Ok(())
    }

    fn parts(&mut self, line: Line<'_>, look: &mut Look<'_>) -> Go {
        let mut all = Vec::new();
        for part in &mut self.open {
            all.extend(part.line(line, look)?);
        }
        all.into_iter()
            .try_for_each(|declared| self.declare(declared, look))
    }

    /// A header section is over: its boundaries are known from now on.
    fn declare(&mut self, declared: Declared, look: &mut Look<'_>) -> Go {
        self.guess |= declared.multipart && declared.boundaries.is_empty();
        for text in declared.boundaries {
            self.boundaries.retain(|known| known.text != text);
            look.within(self.boundaries.len() < MAX_BOUNDARIES, Limit::Form)?;
            look.within(text.len() < MAX_LINE / 2, Limit::Form)?;
            self.boundaries.push(Boundary {
                text,
                sure: declared.sure,
            });
        }
        Ok(())
    }

    /// What a line may be. A delimiter ends what is inside of its multipart: boundaries from there
    /// are no sure ones any more, nor is its own once it was closed.
    fn delimiter(&mut self, line: Line<'_>) -> Delimiter {
        let Some(text) = line.text().strip_prefix(b"--").filter(|_| line.first) else {
            return self.delimiter_within(line.bytes);
        };
        let text = text.trim_ascii_end();
        let exact = self
            .boundaries
            .iter()
            .rposition(|boundary| boundary.is(text));
        let Some(at) = exact else {
            let guessed = self.guess && !text.is_empty();
            return if guessed {
                Delimiter::Maybe
            } else {
                self.delimiter_within(line.bytes)
            };
        };
        let sure = self.boundaries[at].sure && !line.after_cr;
        if sure {
            let closed = text.len() != self.boundaries[at].text.len();
            let from = if closed { at } else { at + 1 };
            self.boundaries[from..]
                .iter_mut()
                .for_each(|boundary| boundary.sure = false);
        }
        if sure {
            Delimiter::Sure
        } else {
            Delimiter::Maybe
        }
    }

    /// Some readers take a delimiter anywhere in a line, and whatever else is in it.
    fn delimiter_within(&self, line: &[u8]) -> Delimiter {
        let begins = |at: usize| {
            let rest = line[at..].strip_prefix(b"--").unwrap_or_default();
            let mut known = self.boundaries.iter();
            known.any(|boundary| rest.starts_with(&boundary.text))
        };
        let found = !self.boundaries.is_empty() && memchr::memchr_iter(b'-', line).any(begins);
        if found {
            Delimiter::Maybe
        } else {
            Delimiter::No
        }
    }
}

impl Boundary {
    fn is(&self, text: &[u8]) -> bool {
        let rest = text.strip_prefix(&self.text[..]);
        rest.is_some_and(|rest| rest.is_empty() || rest == b"--")
    }
}

/// The index behind the next end of a line: CRLF, or CR or LF alone. Of a CR that is the last octet
/// it is not yet known which.
fn line_end(held: &[u8], bytes: &[u8]) -> Option<usize> {
    if held.last() == Some(&b'\r') && !bytes.is_empty() {
        return Some(usize::from(bytes[0] == b'\n'));
    }
    let at = memchr::memchr2(b'\r', b'\n', bytes)?;
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', None) => None,
        (b'\r', Some(b'\n')) => Some(at + 2),
        _ => Some(at + 1),
    }
}
