//! Decodes what follows DATA: undoes dot-stuffing (RFC 5321 §4.5.2), finds the one true end of the
//! message, and notices line ends that are not CRLF.
//!
//! The end is CRLF.CRLF (the first CRLF may be that of the DATA line itself) and nothing that
//! resembles it: a server that also ends at LF.LF lets a message smuggle others. Works on whole
//! blocks: the octets between two dots are handed on as one slice, never copied here.

use memchr::memchr2;

/// The decoder of one message. Feed it everything that was received behind DATA.
#[derive(Debug, Clone, Default)]
pub struct DataDecoder {
    at: At,
    bare: bool,
}

/// What stands just before the next octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// CRLF, or the start.
    #[default]
    LineStart,
    /// A line's first dot, held back.
    Dot,
    /// A line's first dot and a CR, both held back.
    DotCr,
    /// A CR, handed on.
    Cr,
    /// Anything else.
    Text,
}

impl DataDecoder {
    /// Decodes a block and hands the message's octets to `out`, in order.
    ///
    /// At the end of the message: the number of octets of `input` that belonged to it, the final
    /// dot and CRLF included. What stands behind them is the next command. `None` before that.
    pub fn decode(&mut self, input: &[u8], mut out: impl FnMut(&[u8])) -> Option<usize> {
        let mut next = 0;
        // Where the run of octets begins that was looked at, but not handed on yet.
        let mut run = 0;
        while let Some(&octet) = input.get(next) {
            match (self.at, octet) {
                (At::LineStart, b'.') => {
                    out(&input[run..next]);
                    next += 1;
                    run = next;
                    self.at = At::Dot;
                }
                (At::Dot, b'\r') => {
                    next += 1;
                    run = next;
                    self.at = At::DotCr;
                }
                (At::DotCr, b'\n') => return Some(next + 1),
                (At::DotCr, _) => {
                    out(b"\r");
                    self.bare = true;
                    self.at = At::Text;
                }
                (At::Cr, b'\n') => {
                    next += 1;
                    self.at = At::LineStart;
                }
                (At::Cr, _) => {
                    self.bare = true;
                    self.at = At::Text;
                }
                (At::LineStart | At::Dot | At::Text, _) => next = self.text(input, next),
            }
        }
        out(&input[run..]);
        None
    }

    /// Skips to behind the next CR or LF.
    fn text(&mut self, input: &[u8], from: usize) -> usize {
        self.at = At::Text;
        let Some(found) = memchr2(b'\r', b'\n', &input[from..]) else {
            return input.len();
        };
        let at = from + found;
        if input[at] == b'\r' {
            self.at = At::Cr;
        } else {
            self.bare = true;
        }
        at + 1
    }

    /// Whether a CR or LF stood alone so far. Such a message must be refused: others would read it
    /// differently than we do.
    pub fn saw_bare_line_end(&self) -> bool {
        self.bare
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The message, whether it had a bare line end, and what was left behind its end.
    type Decoded = (Vec<u8>, bool, Option<Vec<u8>>);

    fn decode(pieces: &[&[u8]]) -> Decoded {
        let mut decoder = DataDecoder::default();
        let mut message = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            if let Some(taken) = decoder.decode(piece, |run| message.extend_from_slice(run)) {
                let mut rest = piece[taken..].to_vec();
                rest.extend(pieces[at + 1..].concat());
                return (message, decoder.saw_bare_line_end(), Some(rest));
            }
        }
        (message, decoder.saw_bare_line_end(), None)
    }

    /// RFC 5321 §4.5.2, the sender's half.
    fn stuff(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in message.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(b".") {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b".\r\n");
        out
    }

    #[test]
    fn ends() {
        for (wire, message, rest) in [
            (".\r\n", "", ""),
            ("\r\n.\r\n", "\r\n", ""),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"),
            ("..\r\n.\r\n", ".\r\n", ""),
            ("...a\r\n..\r\n.\r\n", "..a\r\n.\r\n", ""),
            (".a\r\n.\r\n", "a\r\n", ""),
            ("a.\r\n.\r\n", "a.\r\n", ""),
            ("a\0\u{fc}\r\n\r\n\r\n.\r\n", "a\0\u{fc}\r\n\r\n\r\n", ""),
        ] {
            let want = (
                message.as_bytes().to_vec(),
                false,
                Some(rest.as_bytes().to_vec()),
            );
            assert_eq!(decode(&[wire.as_bytes()]), want, "{wire:?}");
        }
    }

    /// Every form that some server takes for an end, and no end here.
    #[test]
    fn what_only_looks_like_an_end_is_not_one() {
        for form in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r.\r\n",
            "\r\n.\r",
            "\n.\r",
            "\r.\n",
            "\n\n.\n\n",
            "\n\n.\r\n",
            "\r\r\n.\r\r\n",
            "\r\n.\r\r\n",
            "\r\n\0.\r\n",
        ] {
            let wire = format!("a{form}MAIL FROM:<b@c>\r\n.\r\n");
            let (message, bare, rest) = decode(&[wire.as_bytes()]);
            assert_eq!(rest, Some(Vec::new()), "{form:?}");
            assert_eq!(bare, form != "\r\n\0.\r\n", "{form:?}");
            assert!(message.ends_with(b"MAIL FROM:<b@c>\r\n"), "{form:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_back(lines in prop::collection::vec("[.a\u{fc}\0]{0,4}", 0..12)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let wire = stuff(message.as_bytes());
            prop_assert_eq!(decode(&[&wire]), (message.into_bytes(), false, Some(Vec::new())));
        }

        #[test]
        fn the_cut_into_pieces_does_not_matter(
            wire in "[.a\r\n]{0,40}",
            cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let wire = wire.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
            prop_assert_eq!(decode(&pieces), decode(&[wire]));
        }

        /// The end is found exactly where the only rule says: the first CRLF.CRLF.
        #[test]
        fn the_end_is_the_first_crlf_dot_crlf(wire in "[.a\r\n]{0,40}") {
            let all = format!("\r\n{wire}");
            let rule = all.find("\r\n.\r\n").map(|at| all.as_bytes()[at + 5..].to_vec());
            prop_assert_eq!(decode(&[wire.as_bytes()]).2, rule);
        }
    }
}
