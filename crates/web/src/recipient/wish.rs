//! The standing choices of a recipient: what is asked for, and what is taken back.
//!
//! Nothing here puts a choice in force: that takes the confirm link, which goes by mail to the address
//! that the choice concerns. Going back to holding needs none.

use posthouse_hook::{Domain, ForwardPath, Row};
use posthouse_store::{Address, Asked, RecipientChoice, StoreError, Wish};

use super::deed::Done;
use crate::pages::Pages;
use crate::visit::Visit;

/// Asks the owner of the address in `text` whether all mail may go there.
pub(super) async fn redirect(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    text: &str,
) -> Result<Done, StoreError> {
    let Some(target) = target(text) else {
        return Ok(Done::NoAddress);
    };
    let objection = pages.store.redirect_objection(&address.address, &target);
    if let Some(objection) = objection.await? {
        return Ok(objection.into());
    }
    match pages.rows.row(&target).await {
        Ok(Row::Other) => ask(pages, visit, address, RecipientChoice::Redirect(target)).await,
        Ok(Row::Filtered) => Ok(Done::Filtered),
        Err(error) => {
            tracing::warn!(%error, %target, "a redirect was asked for; its domain could not be looked up");
            Ok(Done::Unknown)
        }
    }
}

/// Has the confirm link of a choice mailed.
pub(super) async fn ask(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
    choice: RecipientChoice,
) -> Result<Done, StoreError> {
    let wish = Wish::Recipient(address.id, choice);
    let asked = pages
        .store
        .ask_choice(wish, Some(visit.language), visit.actor());
    Ok(match asked.await? {
        Asked::Mailed(_) => Done::Asked,
        Asked::Refused(objection) => objection.into(),
    })
}

/// Takes back what waits to be confirmed.
pub(super) async fn withdraw(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
) -> Result<Done, StoreError> {
    let withdrawn = pages.store.withdraw_choice(address.id, visit.actor());
    withdrawn.await.map(|()| Done::Undone)
}

/// Goes back to holding, at once; the store ends unused confirm links with it.
pub(super) async fn undo(
    pages: &Pages,
    visit: &Visit,
    address: &Address,
) -> Result<Done, StoreError> {
    let (owner, hold) = (address.address.clone(), RecipientChoice::Hold);
    let set = pages.store.set_recipient(owner, hold, visit.actor());
    set.await.map(|_| Done::Undone)
}

/// An address that mail can be sent on to: `local@domain`, the domain one of several labels.
fn target(text: &str) -> Option<ForwardPath> {
    let path = ForwardPath::from_address(text.trim()).ok()?;
    let whole = |domain: &Domain| domain.as_str().contains('.');
    path.domain().is_some_and(whole).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_is_a_target() {
        for text in [
            "bob@home.example",
            " bob@home.example\t",
            "BOB@Home.Example",
        ] {
            assert!(target(text).is_some(), "{text}");
        }
        for text in [
            "",
            "bob",
            "postmaster",
            "bob@",
            "@home.example",
            "bob@localhost",
            "bob@[127.0.0.1]",
            "bob@[IPv6:::1]",
            "bob@home.example, eve@home.example",
            "bob@home.example\r\nBcc: eve@home.example",
            "Bob <bob@home.example>",
            "<bob@home.example>",
            "mailto:bob@home.example@x",
            "bob@home..example",
            "bob@home.example>",
            "bob@-home.example/x",
        ] {
            assert!(target(text).is_none(), "{text}");
        }
        assert!(target(&format!("{}@home.example", "x".repeat(5_000))).is_none());
    }
}
