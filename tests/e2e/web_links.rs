//! Every URL that we ever mail or say, over a real store: one of each kind, and what lies below.

use posthouse_hook::{ForwardPath, Link, LinkKind, Row};
use posthouse_store::{Actor, Asked, ErrandKind, RecipientChoice, SenderChoice, Who, Wish};
use posthouse_tests::ledger;

use crate::web_site::{Held, Mail, Site, path_of};

/// A message, and what both of its parties were sent.
pub(crate) struct Parties {
    pub(crate) held: Held,
    /// Of each kind: the page of the link. A kind may come more than once, for each thing that such
    /// a link can be about.
    pub(crate) pages: Vec<(LinkKind, String)>,
}

impl Parties {
    /// The page of the first link of a kind.
    pub(crate) fn page(&self, kind: LinkKind) -> &str {
        let of_kind = self.pages.iter().find(|(k, _)| *k == kind);
        &of_kind
            .unwrap_or_else(|| panic!("a link of kind {kind:?}"))
            .1
    }
}

impl Site {
    /// Holds a message and has everybody written to about it. The names make the addresses:
    /// `NAME@ours.example` and `NAME@there.example`, whose redirect would go to `NAME@new.example`.
    pub(crate) async fn parties(&self, sender: &str, recipient: &str) -> Parties {
        let (from, to) = (
            format!("{sender}@ours.example"),
            format!("{recipient}@there.example"),
        );
        let mail = Mail {
            from: &from,
            to: &[&to],
            row: Row::Filtered,
            ..Mail::default()
        };
        let held = self.hold(mail).await;
        let mut pages = Vec::new();
        for kind in LinkKind::ALL {
            for page in self.pages_of(kind, &held, &from, &to).await {
                pages.push((kind, page));
            }
        }
        Parties { held, pages }
    }

    /// The pages of that kind. A new kind of link does not compile before it stands here.
    async fn pages_of(&self, kind: LinkKind, held: &Held, from: &str, to: &str) -> Vec<String> {
        match kind {
            LinkKind::Item => vec![held.path()],
            LinkKind::Address => {
                let list = path_of(&self.links_of(to).await.0);
                let read = format!("{list}/m/{}", held.id);
                vec![list, read.clone(), format!("{read}/message.eml")]
            }
            LinkKind::Stop => vec![path_of(&self.links_of(to).await.1)],
            LinkKind::Confirm => self.confirm_pages(from, to).await,
            LinkKind::Manage => {
                let list = self.manage_page(from).await;
                let one = format!("{list}/m/{}", held.id);
                vec![list, one]
            }
        }
    }

    /// A link for each choice that somebody can ask for.
    async fn confirm_pages(&self, from: &str, to: &str) -> Vec<String> {
        let owner = self.store.address(to).await.expect("the store works");
        let owner = owner.expect("something is held").id;
        let new = to.replace("there.example", "new.example");
        let new = ForwardPath::from_address(&new).expect("an address");
        let mut pages = Vec::new();
        for wish in [
            Wish::Recipient(owner, RecipientChoice::Redirect(new)),
            Wish::Recipient(owner, RecipientChoice::Discard),
            Wish::Sender(from.to_owned(), SenderChoice::Refuse),
            Wish::Sender(from.to_owned(), SenderChoice::Discard),
        ] {
            pages.push(path_of(&self.confirm_link(wish).await));
        }
        pages
    }

    /// Asks for a choice, and gives the link that is mailed.
    pub(crate) async fn confirm_link(&self, wish: Wish) -> Link {
        let asked = self.store.ask_choice(wish, None, someone()).await;
        assert!(matches!(asked, Ok(Asked::Mailed(_))), "{asked:?}");
        self.newest_link().await
    }

    /// Asks for the links of a sender, and gives the page that is mailed.
    pub(crate) async fn manage_page(&self, from: &str) -> String {
        let sender = ForwardPath::from_address(from).expect("an address");
        let asked = self.store.ask_links(&sender, None, someone()).await;
        asked.expect("the store works");
        path_of(&self.newest_link().await)
    }

    /// The link of the newest errand.
    pub(crate) async fn newest_link(&self) -> Link {
        let due = self.store.errands_due(100).await.expect("the store works");
        match due.into_iter().next_back().expect("an errand").what {
            ErrandKind::Confirm(_, link)
            | ErrandKind::Redirected(_, link)
            | ErrandKind::Address(_, link)
            | ErrandKind::Manage(_, link) => link,
        }
    }

    /// The pages of one kind of link, for a message from Ann to Bob.
    pub(crate) async fn path_of_kind(&self, kind: LinkKind) -> String {
        self.parties("ann", "bob").await.page(kind).to_owned()
    }

    /// Everything in the ledger but looks at pages.
    pub(crate) fn dump(&self) -> String {
        ledger::dump(&self.ledger())
    }

    /// Rewrites rows behind the server's back.
    pub(crate) fn change(&self, sql: &str) {
        ledger::change(&self.ledger(), sql);
    }
}

/// Somebody on the network.
pub(crate) fn someone() -> Actor {
    Actor {
        who: Who::Recipient,
        from: Some([192, 0, 2, 77].into()),
    }
}
