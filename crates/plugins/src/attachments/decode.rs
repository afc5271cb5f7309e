//! Transfer encodings, read as the most lenient reader would: piece by piece, what does not belong
//! is passed over, and the end of one run is the beginning of the next.

/// Decodes base64 (RFC 2045 §6.8). Behind padding it begins anew, as where texts were joined.
#[derive(Default)]
pub(super) struct Base64 {
    bits: u32,
    have: u8,
}

impl Base64 {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            match sextet(*byte) {
                Some(six) => self.push(six, out),
                None if *byte == b'=' => *self = Self::default(),
                None => {}
            }
        }
    }

    fn push(&mut self, six: u8, out: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u32::from(six);
        self.have += 6;
        if self.have >= 8 {
            self.have -= 8;
            out.push((self.bits >> self.have & 0xff) as u8);
        }
        self.bits &= 0xffff;
    }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes quoted-printable (RFC 2045 §6.7). What is no encoding stands for itself.
#[derive(Default)]
pub(super) struct Quoted {
    /// An equals sign and what came behind it, until it is known what they mean.
    held: Vec<u8>,
}

impl Quoted {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            if self.held.is_empty() && *byte != b'=' {
                out.push(*byte);
            } else {
                self.held.push(*byte);
                self.settle(out);
            }
        }
    }

    fn settle(&mut self, out: &mut Vec<u8>) {
        match self.held[..] {
            [_] | [_, b'\r' | b' ' | b'\t'] => return,
            [_, b'\n'] | [_, b'\r' | b' ' | b'\t', b'\n'] => {}
            [_, a] if a.is_ascii_hexdigit() => return,
            [_, a, b] if hex(a).is_some() && hex(b).is_some() => {
                out.push(hex(a).unwrap_or(0) << 4 | hex(b).unwrap_or(0));
            }
            [_, b' ' | b'\t' | b'\r', b' ' | b'\t' | b'\r'] => {
                self.held.pop();
                return;
            }
            [.., b'='] => {
                out.extend_from_slice(&self.held[..self.held.len() - 1]);
                self.held = vec![b'='];
                return;
            }
            _ => out.extend_from_slice(&self.held),
        }
        self.held.clear();
    }
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|n| u8::try_from(n).ok())
}

/// Decodes one line of uuencode (POSIX); its first character tells how many octets are in it.
pub(super) fn uu_line(line: &[u8], out: &mut Vec<u8>) {
    let value = |byte: &u8| byte.wrapping_sub(b' ') & 0x3f;
    let Some((length, rest)) = line.split_first() else {
        return;
    };
    let end = out.len() + usize::from(value(length));
    for four in rest.chunks(4) {
        let bits = four
            .iter()
            .fold(0_u32, |bits, byte| bits << 6 | u32::from(value(byte)));
        let bits = bits << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = Base64::default();
        text.bytes()
            .for_each(|byte| decoder.feed(&[byte], &mut out));
        out
    }

    fn quoted(text: &str) -> Vec<u8> {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        Quoted::default().feed(text.as_bytes(), &mut whole);
        let mut decoder = Quoted::default();
        text.bytes()
            .for_each(|byte| decoder.feed(&[byte], &mut pieces));
        assert_eq!(whole, pieces);
        whole
    }

    #[test]
    fn base64_is_read_through_junk() {
        assert_eq!(base64("TVqQAAMAAAA="), b"MZ\x90\0\x03\0\0\0");
        assert_eq!(base64("T V\r\nq!Q-AA_MAAAA="), b"MZ\x90\0\x03\0\0\0");
        assert_eq!(base64("YQ==\r\nYg=="), b"ab");
    }

    #[test]
    fn quoted_printable_is_read_through_junk() {
        assert_eq!(quoted("a=3Db=\r\nc=3dd = \n"), b"a=bc=d ");
        assert_eq!(quoted("=XY==41=4"), b"=XY=A");
        assert_eq!(quoted("=  \t\r\nx"), b"x");
    }

    #[test]
    fn uuencode_is_read() {
        let mut out = Vec::new();
        uu_line(b"#0V%T", &mut out);
        assert_eq!(out, b"Cat");
        uu_line(b"M", &mut out);
        uu_line(b"", &mut out);
        assert_eq!(out, b"Cat");
    }
}
