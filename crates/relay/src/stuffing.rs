//! Dot-stuffing (RFC 5321 §4.5.2) without copying: a message's octets become slices of themselves
//! with dots between them. No I/O; whatever way the message is cut into blocks, the result is one.

use std::io::IoSlice;

/// A CR or LF that stands alone. The front refuses such messages; if one got here all the same, it
/// must not leave: some next hops take it for a line end, and a message inside a message for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message has a bare CR or LF")]
pub(crate) struct BareLineEnd;

/// Where in a line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    LineStart,
    InLine,
    BehindCr,
}

/// The state between two blocks.
#[derive(Debug, Default)]
pub(crate) struct Stuffing(Place);

const DOT: &[u8] = b".";

impl Stuffing {
    /// Appends the slices for one block.
    pub(crate) fn push<'a>(
        &mut self,
        block: &'a [u8],
        out: &mut Vec<IoSlice<'a>>,
    ) -> Result<(), BareLineEnd> {
        if block.is_empty() {
            return Ok(());
        }
        if self.0 == Place::LineStart && block.starts_with(DOT) {
            out.push(IoSlice::new(DOT));
        }
        let wants_lf = (self.0 == Place::BehindCr).then_some(0);
        self.0 = stuff_lines(block, wants_lf, out)?;
        Ok(())
    }

    /// What ends the message: the final dot, behind a line end of its own if one is missing.
    pub(crate) fn finish(self) -> Result<&'static [u8], BareLineEnd> {
        match self.0 {
            Place::LineStart => Ok(b".\r\n"),
            Place::InLine => Ok(b"\r\n.\r\n"),
            Place::BehindCr => Err(BareLineEnd),
        }
    }
}

/// Puts a dot in front of each line behind the first that begins with one. `wants_lf` is where a
/// LF must stand, because a CR stands before it.
fn stuff_lines<'a>(
    block: &'a [u8],
    mut wants_lf: Option<usize>,
    out: &mut Vec<IoSlice<'a>>,
) -> Result<Place, BareLineEnd> {
    let mut from = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', block) {
        match (block[at], wants_lf) {
            (b'\r', None) => wants_lf = Some(at + 1),
            (b'\n', Some(want)) if want == at => {
                wants_lf = None;
                if block.get(at + 1) == Some(&b'.') {
                    out.extend([IoSlice::new(&block[from..=at]), IoSlice::new(DOT)]);
                    from = at + 1;
                }
            }
            _ => return Err(BareLineEnd),
        }
    }
    out.push(IoSlice::new(&block[from..]));
    match wants_lf {
        Some(want) if want == block.len() => Ok(Place::BehindCr),
        Some(_) => Err(BareLineEnd),
        None if block.ends_with(b"\n") => Ok(Place::LineStart),
        None => Ok(Place::InLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(message: &[u8], block: usize) -> Result<Vec<u8>, BareLineEnd> {
        let mut stuffing = Stuffing::default();
        let mut slices = Vec::new();
        for block in message.chunks(block) {
            stuffing.push(block, &mut slices)?;
        }
        let mut out: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        out.extend_from_slice(stuffing.finish()?);
        Ok(out)
    }

    /// However the message is cut.
    fn all(message: &[u8]) -> Result<Vec<u8>, BareLineEnd> {
        let whole = stuffed(message, message.len().max(1));
        for block in 1..=message.len() {
            assert_eq!(stuffed(message, block), whole, "in blocks of {block}");
        }
        whole
    }

    #[test]
    fn dots_at_line_starts_are_doubled() {
        for (message, want) in [
            ("", ".\r\n"),
            (".", "..\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("a.b\r\n", "a.b\r\n.\r\n"),
            ("a\r\n.\r\n.b\r\n..\r\n", "a\r\n..\r\n..b\r\n...\r\n.\r\n"),
            ("a\r\n\r\n\r\n", "a\r\n\r\n\r\n.\r\n"),
            ("no end", "no end\r\n.\r\n"),
            ("nul\0\r\n", "nul\0\r\n.\r\n"),
        ] {
            assert_eq!(all(message.as_bytes()), Ok(want.into()), "{message:?}");
        }
    }

    #[test]
    fn bare_line_ends_never_leave() {
        for message in [
            "\r", "\n", "a\rb\r\n", "a\nb\r\n", "a\r\r\n", "a\r\n\n", "a\r\n.\n", "\n.\r\n",
            "a\n\r",
        ] {
            assert_eq!(all(message.as_bytes()), Err(BareLineEnd), "{message:?}");
        }
    }
}
