//! The messages of the crash test: each can be made again from its name, so that what arrives is
//! compared with what was sent, octet by octet.

/// Finds its way into the quarantine.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fate {
    /// 250, and on to the next hop.
    Relayed,
    /// 552 with a link, and held: the sender is ours.
    Refused,
    /// 250, and held: the sender is a stranger, the recipient's domain is filtered.
    Held,
}

/// A message's name: who sends it, and the how manieth of the sender's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mail {
    pub(super) sender: usize,
    pub(super) number: usize,
}

impl Mail {
    pub(super) fn fate(self) -> Fate {
        match self.number % 8 {
            1 => Fate::Refused,
            5 => Fate::Held,
            _ => Fate::Relayed,
        }
    }

    /// The envelope: from whom, to whom.
    pub(super) fn envelope(self) -> (&'static str, &'static str) {
        match self.fate() {
            Fate::Relayed => ("ann@ours.test", "bob@far.test"),
            Fate::Refused => ("ann@ours.test", "bob@filtered.test"),
            Fate::Held => ("eve@strange.test", "bob@filtered.test"),
        }
    }

    pub(super) fn subject(self) -> String {
        format!("crash {} {}", self.sender, self.number)
    }

    /// Reads the form of [`Mail::subject`].
    pub(super) fn from_subject(subject: &str) -> Option<Self> {
        let mut words = subject.strip_prefix("crash ")?.split(' ');
        let sender = words.next()?.parse().ok()?;
        let number = words.next()?.parse().ok()?;
        Some(Self { sender, number })
    }

    /// Every sixteenth is long enough for a spool file.
    fn lines(self) -> usize {
        if self.number % 16 < 2 || self.number % 48 == 5 {
            4_000
        } else {
            20
        }
    }

    pub(super) fn octets(self) -> Vec<u8> {
        let subject = self.subject();
        let mut out = format!("From: a@a.test\r\nTo: b@b.test\r\nSubject: {subject}\r\n\r\n");
        if self.fate() != Fate::Relayed {
            out.push_str(GTUBE);
        }
        for line in 0..self.lines() {
            out.push_str(&format!(
                "{subject}: line {line} of a body that is to arrive whole.\r\n"
            ));
        }
        out.into_bytes()
    }

    /// The message that arrived, and whether it is what was sent below one Received field.
    pub(super) fn arrived(message: &[u8]) -> Option<(Self, bool)> {
        let head = String::from_utf8_lossy(&message[..message.len().min(2_000)]);
        let mut subjects = head
            .lines()
            .filter_map(|line| line.strip_prefix("Subject: "));
        let mail = Self::from_subject(subjects.next()?)?;
        let sent = mail.octets();
        let added = message.strip_suffix(sent.as_slice());
        Some((mail, added.is_some_and(is_one_received)))
    }
}

/// Whether this is one header field: every line but the first begins with white space.
fn is_one_received(added: &[u8]) -> bool {
    let text = String::from_utf8_lossy(added);
    let mut lines = text.split_terminator("\r\n");
    let first = lines.next().unwrap_or_default();
    first.starts_with("Received: ") && lines.all(|line| line.starts_with([' ', '\t']))
}
