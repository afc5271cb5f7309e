//! No link acts or shows beyond its scope: its kind, its party, its messages. Every link is tried on
//! every page with every form of ours, its own and others' proofs, and foreign ids in every field.

use posthouse_hook::{Id, LinkKind};
use posthouse_store::{RecipientChoice, Wish};
use posthouse_tests::ledger::differences;

use crate::scene::form_token;
use crate::web_links::Parties;
use crate::web_site::{Mail, Site, path_of};

/// Everything that a form of ours can ask for; `ID` is another's message.
const FORMS: [&str; 21] = [
    "do=release&sure=yes&item=ID&one=ID",
    "do=release&sure=yes&item=ID",
    "do=release",
    "do=discard&item=ID",
    "one=ID",
    "do=discard_all&newest=ID",
    "do=discard_all&newest=9223372036854775807",
    "do=redirect&to=eve@evil.test",
    "do=discard_future",
    "do=undo",
    "do=withdraw",
    "do=stop_letters",
    "do=start_letters",
    "do=correspond&interval=1&language=de",
    "do=ask&comment=hello&item=ID",
    "do=choose&choice=discard",
    "do=choose&choice=refuse",
    "do=choose&choice=hold",
    "do=mail_link",
    "do=confirm",
    "List-Unsubscribe=One-Click",
];

/// Two messages between four people who have nothing to do with one another.
async fn two(site: &Site) -> (Parties, Parties) {
    (
        site.parties("ann", "bob").await,
        site.parties("eve", "mallory").await,
    )
}

/// The first segment and the token of a page.
fn split(page: &str) -> (&str, &str) {
    let mut segments = page.split('/').skip(1);
    let mut next = || segments.next().expect("a segment");
    (next(), next())
}

/// The token of one kind on the page of another, with that other's form: nothing happens. The token
/// of the page itself is no proof on any other page either.
#[tokio::test]
async fn a_token_opens_no_page_of_another_kind() {
    let site = Site::open().await;
    let (own, other) = two(&site).await;
    let before = site.dump();
    for (kind, page) in &own.pages {
        let proof = form_token(&site.get(page).await.text()).unwrap_or_default();
        let token = split(page).1;
        for (foreign, target) in other.pages.iter().chain(&own.pages) {
            if foreign == kind {
                continue;
            }
            let (_, there) = split(target);
            let path = target.replace(there, token);
            assert!(
                matches!(site.get(&path).await.status, 404),
                "{kind:?} on {path}"
            );
            for form in FORMS {
                let form = format!("form={proof}&{form}");
                let status = site.post(&path, &form).await.status;
                assert!(
                    matches!(status, 403..=405),
                    "{status}: {kind:?} on {path}: {form}"
                );
                if *foreign != LinkKind::Stop {
                    let status = site.post(target, &form).await.status;
                    assert!(
                        matches!(status, 403..=405),
                        "{status}: {kind:?}'s proof on {target}"
                    );
                }
            }
        }
    }
    assert_eq!(differences(&before, &site.dump()), [""; 0]);
    site.close().await;
}

/// Each link does with its own proof whatever its forms can ask for, with another's ids in every
/// field. The other's message, choices and letters stay as they were.
#[tokio::test]
async fn no_form_reaches_what_is_anothers() {
    for kind in LinkKind::ALL {
        let site = Site::open().await;
        let (own, other) = two(&site).await;
        let foreign = other.held.id;
        let before = about(&site.dump(), &site, foreign).await;
        for (_, page) in own.pages.iter().filter(|(k, _)| *k == kind) {
            let text = site.get(page).await.text();
            let proof = form_token(&text).unwrap_or_default();
            for form in FORMS {
                let form = form.replace("ID", &foreign.to_string());
                let answer = site.post(page, &format!("form={proof}&{form}")).await;
                assert!(answer.status < 500, "{page} {form}: {}", answer.status);
            }
            for below in [format!("/m/{foreign}"), format!("/m/{foreign}/message.eml")] {
                let (segment, token) = split(page);
                let path = format!("/{segment}/{token}{below}");
                assert_eq!(site.get(&path).await.status, 404, "{path}");
                let form = format!("form={proof}&do=discard&do=release&sure=yes");
                let status = site.post(&path, &form).await.status;
                assert!(matches!(status, 404 | 405), "{status} {path}");
            }
        }
        let after = about(&site.dump(), &site, foreign).await;
        assert_eq!(before, after, "{kind:?}");
        site.close().await;
    }
}

/// The rows that are about a message and its parties, whoever they are.
async fn about(dump: &str, site: &Site, item: Id) -> Vec<String> {
    let item = site.store.item(item).await.expect("the store works");
    let item = item.expect("it is there");
    let mut names = vec![item.id.to_string(), "eve@ours.example".to_owned()];
    for recipient in &item.recipients {
        let to = recipient.address.key();
        let address = site.store.address(&to).await;
        let address = address.expect("the store works").expect("a row");
        names.extend([to, address.id.to_string()]);
    }
    let about = |line: &&str| names.iter().any(|name| line.contains(name.as_str()));
    dump.lines().filter(about).map(str::to_owned).collect()
}

/// What no page of the one party may say of the other: its links, and who else got the message.
#[tokio::test]
async fn no_page_shows_the_other_recipients_or_anothers_link() {
    let site = Site::open().await;
    let to = [
        "bob@there.example",
        "secret@there.example",
        "hidden@other.example",
    ];
    let message =
        b"From: Ann <ann@ours.example>\r\nTo: undisclosed-recipients:;\r\nSubject: x\r\n\r\nhi\r\n";
    let held = site
        .hold(Mail {
            to: &to,
            message,
            ..Mail::default()
        })
        .await;
    let (list, stop) = site.links_of("bob@there.example").await;
    let sender = held.path();
    let list = path_of(&list);
    let read = format!("{list}/m/{}", held.id);
    let bobs = [
        list,
        read.clone(),
        format!("{read}/message.eml"),
        path_of(&stop),
    ];
    for page in &bobs {
        let text = site.get(page).await.text();
        for bad in ["secret@", "hidden@", split(&sender).1, "/i/", "/m/a"] {
            assert!(!text.contains(bad), "{bad} on {page}: {text}");
        }
    }
    let confirm = site.confirm_of("bob@there.example").await;
    let manage = site.manage_page("ann@ours.example").await;
    let below = format!("{manage}/m/{}", held.id);
    let foreign = [split(&bobs[0]).1, split(&bobs[3]).1];
    for page in [&sender, &manage, &below, &confirm] {
        let text = site.get(page).await.text();
        for bad in ["/a/", "/s/", foreign[0], foreign[1]] {
            assert!(!text.contains(bad), "{bad} on {page}: {text}");
        }
    }
    for bad in ["ann@", "secret@", "/i/", "/m/", split(&manage).1] {
        assert!(
            !site.get(&confirm).await.text().contains(bad),
            "{bad} on {confirm}"
        );
    }
    site.close().await;
}

/// A bounce that quotes the refusal is spam too, and held: whoever reads it does not get the link of
/// the message that it is about.
#[tokio::test]
async fn no_page_shows_the_secret_of_a_link_that_a_message_quotes() {
    let site = Site::open().await;
    let live = site.hold(Mail::default()).await.path();
    let message = format!(
        "From: \"{live}\" <ann@ours.example>\r\nSubject: see {live}\r\nX-Was: {live}\r\n\r\n\
         552 5.7.1 spam; to send it anyway: https://out.isp.example{live}\r\n"
    );
    let held = site
        .hold(Mail {
            to: &["eve@there.example"],
            message: message.as_bytes(),
            ..Mail::default()
        })
        .await;
    let (list, _) = site.links_of("eve@there.example").await;
    let list = path_of(&list);
    let read = format!("{list}/m/{}", held.id);
    let manage = site.manage_page("ann@ours.example").await;
    let below = format!("{manage}/m/{}", held.id);
    for page in [&list, &read, &held.path(), &manage, &below] {
        let text = site.get(page).await.text();
        assert!(!text.contains(split(&live).1), "{page}: {text}");
    }
    let whole = site.get(&format!("{read}/message.eml")).await.text();
    assert!(whole.contains(&live), "the download is whole: {whole}");
    site.close().await;
}

impl Site {
    /// The page that confirms a redirect of an address.
    async fn confirm_of(&self, address: &str) -> String {
        let owner = self.store.address(address).await.expect("the store works");
        let owner = owner.expect("something is held").id;
        let new = posthouse_hook::ForwardPath::from_address("bob@new.example");
        let wish = Wish::Recipient(owner, RecipientChoice::Redirect(new.expect("valid")));
        path_of(&self.confirm_link(wish).await)
    }
}
