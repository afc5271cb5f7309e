//! Who is written to at all: everybody, or the known forwarding targets that the operator lists.

use posthouse_hook::{AddressList, Live, Mailbox};

/// To whom letters may go. What is held for others is held all the same.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// To everybody for whom mail is held.
    #[default]
    Everybody,
    /// To these addresses, and to those of these domains.
    Only(Live<AddressList>),
}

impl Reach {
    /// Whether letters may go to this address.
    pub fn takes(&self, address: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(list) => {
                Mailbox::parse(address).is_ok_and(|mailbox| list.load().contains_mailbox(&mailbox))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_anew_each_time() {
        let list = Live::<AddressList>::default();
        let reach = Reach::Only(list.clone());
        assert!(!reach.takes("bob@big.example"));
        let mut new = AddressList::default();
        for entry in ["Bob@big.example", ".mail.example"] {
            new.add(entry).expect("valid");
        }
        list.swap(new);
        assert!(reach.takes("bob@big.example") && reach.takes("x@a.mail.example"));
        for other in ["eve@big.example", "x@mail.example", "postmaster", ""] {
            assert!(!reach.takes(other), "{other}");
            assert!(Reach::Everybody.takes(other));
        }
    }
}
