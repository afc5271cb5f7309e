//! What speaks for a domain, and what it makes of what SPF and DKIM have proven. Reads notes and DNS, and
//! does nothing.

use posthouse_hook::proofs::{DkimFound, DmarcPolicy, SpfFound, Verified};
use posthouse_hook::{Domain, Id, LookupError, Resolver, Spf, Transaction};
use sha2::{Digest as _, Sha256};

use super::record::{Alignment, Of, Record};
use super::walk::{Records, Unknown};

/// The result, what the domain asks for, and why.
pub(super) type Evaluated = (Verified, Option<DmarcPolicy>, String);

/// The record that speaks for the domain, and what it makes of what others have proven.
pub(super) async fn evaluate(
    resolver: &dyn Resolver,
    tx: &Transaction,
    domain: &Domain,
) -> Result<Evaluated, Unknown> {
    let mut records = Records::new(resolver);
    let Some((at, record)) = records.policy(domain).await? else {
        return Ok((Verified::None, None, format!("{domain} has no policy")));
    };
    let of = of(resolver, domain, &at, &record).await?;
    let policy = Some(record.policy(of, draw(tx.id)));
    let mut unknown = None;
    for claim in claims(tx, &record) {
        if !aligned(&mut records, domain, &claim).await? {
            continue;
        }
        match claim.proven {
            Proven::Yes => return Ok((Verified::Pass, policy, claim.what)),
            Proven::Unknown => unknown = Some(claim.what),
        }
    }
    Ok(match unknown {
        Some(what) => (Verified::TempError, policy, format!("{what} is not known")),
        None => (Verified::Fail, policy, format!("nothing proves {domain}")),
    })
}

/// Whose mail the policy is about. Names below are asked for only if it makes a difference.
async fn of(
    resolver: &dyn Resolver,
    domain: &Domain,
    at: &Domain,
    record: &Record,
) -> Result<Of, Unknown> {
    if at == domain {
        return Ok(Of::Itself);
    }
    if record.absent.is_none() {
        return Ok(Of::Below);
    }
    let (addresses, hosts) = tokio::join!(resolver.addresses(domain), resolver.mx(domain));
    match (addresses, hosts) {
        (Err(LookupError::NotFound), Err(LookupError::NotFound)) => Ok(Of::Absent),
        (Ok(_), _) | (_, Ok(_)) => Ok(Of::Below),
        _ => Err(Unknown),
    }
}

/// A number from 0 to 99 that is the same whenever the message is judged.
pub(super) fn draw(id: Id) -> u8 {
    let hash = Sha256::digest(id.0.to_be_bytes());
    u8::try_from(u16::from_be_bytes([hash[0], hash[1]]) % 100).unwrap_or(0)
}

/// Something that may prove a domain.
struct Claim {
    domain: Domain,
    alignment: Alignment,
    proven: Proven,
    what: String,
}

enum Proven {
    Yes,
    /// DNS did not answer.
    Unknown,
}

/// What SPF and DKIM found that is not a plain no.
fn claims(tx: &Transaction, record: &Record) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut add = |proven, domain: &Domain, alignment, method| {
        claims.push(Claim {
            domain: domain.clone(),
            alignment,
            proven,
            what: format!("{method} of {domain}"),
        });
    };
    for signature in tx
        .notes
        .get::<DkimFound>()
        .map_or(&[][..], |found| &found.0)
    {
        match signature.result {
            Verified::Pass => add(Proven::Yes, &signature.domain, record.dkim, "DKIM"),
            Verified::TempError => add(Proven::Unknown, &signature.domain, record.dkim, "DKIM"),
            _ => {}
        }
    }
    if let Some(SpfFound {
        result,
        domain: Some(domain),
        ..
    }) = tx.notes.get()
    {
        match result {
            Spf::Pass => add(Proven::Yes, domain, record.spf, "SPF"),
            Spf::TempError => add(Proven::Unknown, domain, record.spf, "SPF"),
            _ => {}
        }
    }
    claims
}

/// RFC 7489 §3.1: the same domain, or, if that is enough, one of the same organization.
async fn aligned(records: &mut Records<'_>, from: &Domain, claim: &Claim) -> Result<bool, Unknown> {
    if claim.domain == *from {
        return Ok(true);
    }
    let top = |domain: &Domain| domain.as_str().rsplit('.').next().map(str::to_owned);
    if claim.alignment == Alignment::Strict || top(&claim.domain) != top(from) {
        return Ok(false);
    }
    Ok(records.organization(&claim.domain).await? == records.organization(from).await?)
}
