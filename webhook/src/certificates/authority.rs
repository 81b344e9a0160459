//! The CAs of all replicas: what the Secret holds, and what must become of it now. Nothing is read or written here.
//!
//! A rotation never changes what is trusted and what signs in the same step: a CA is first published as `next`, signs once
//! every caller had time to learn of it, and stays trusted until it expires.

use std::collections::BTreeMap;

use super::Seconds;
use super::ca::{Ca, CaError, Trusted};

/// What a Secret holds, by key.
pub type Data = BTreeMap<String, Vec<u8>>;

const CURRENT: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
const OLD: &str = "old.crt";
/// The keys that are natsguard's.
pub const KEYS: [&str; 5] = [CURRENT.0, CURRENT.1, NEXT.0, NEXT.1, OLD];

/// So many former CAs stay trusted. Who replaces the CA again and again would make the bundle grow without end.
const MAX_OLD: usize = 8;

/// How long things live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// A CA.
    pub ca_lifetime: Seconds,
    /// How old a CA is when its successor is made.
    pub rotate_after: Seconds,
    /// How long a CA is published before it signs.
    pub settle: Seconds,
    /// The certificate of a replica.
    pub leaf_lifetime: Seconds,
}

/// The CAs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Signs.
    pub current: Ca,
    /// Will sign.
    pub next: Option<Ca>,
    /// Have signed what may still be served, in the order in which they ceased to sign.
    pub old: Vec<Trusted>,
}

/// What to do about the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is right.
    Keep(Authority),
    /// It must hold this instead.
    Store(Authority, &'static str),
}

impl Authority {
    /// Reads what a Secret holds. Only the CA that signs must be there; what else is broken is left out.
    pub fn read(data: &Data) -> Result<Self, CaError> {
        let old = text(data, OLD).unwrap_or_default();
        Ok(Self {
            current: ca(data, CURRENT)?,
            next: ca(data, NEXT).ok(),
            old: pieces(old)
                .filter_map(|pem| Trusted::read(&pem).ok())
                .collect(),
        })
    }

    /// What a Secret must hold.
    pub fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |key: &str, text: &str| data.insert(key.to_owned(), text.into());
        put(CURRENT.0, &self.current.certificate.pem);
        put(CURRENT.1, &self.current.key);
        if let Some(next) = &self.next {
            put(NEXT.0, &next.certificate.pem);
            put(NEXT.1, &next.key);
        }
        if !self.old.is_empty() {
            let old: String = self.old.iter().map(|old| old.pem.as_str()).collect();
            put(OLD, &old);
        }
        data
    }

    /// All that must be trusted, oldest first, so that the order stays when roles change.
    pub fn trusted(&self) -> Vec<&Trusted> {
        let mut trusted: Vec<&Trusted> = self
            .old
            .iter()
            .chain([&self.current.certificate])
            .chain(self.next.iter().map(|next| &next.certificate))
            .collect();
        trusted.sort();
        trusted.dedup();
        trusted
    }

    /// The bundle for the webhook configurations.
    pub fn bundle(&self) -> String {
        self.trusted()
            .iter()
            .map(|trusted| trusted.pem.as_str())
            .collect()
    }
}

/// What must become of the Secret.
///
/// `found` is what it holds, `memory` what this replica saw last: a Secret that was deleted or spoilt is restored from
/// memory, so nothing that is served loses its trust. `settled` says that the bundle of `memory` has been in the webhook
/// configurations for the time to settle.
pub fn plan(
    found: Option<&Data>,
    memory: Option<&Authority>,
    settled: bool,
    now: Seconds,
    times: &Times,
    generate: impl Fn() -> Result<Ca, CaError>,
) -> Result<Plan, CaError> {
    let alive = |trusted: &Trusted| trusted.expires > now;
    let (mut authority, mut reason) = match (found.map(Authority::read), memory) {
        (Some(Ok(authority)), _) => (authority, ""),
        (broken, Some(memory)) if alive(&memory.current.certificate) => (
            memory.clone(),
            if broken.is_some() {
                "the Secret was spoilt; it is restored"
            } else {
                "the Secret was deleted; it is restored"
            },
        ),
        (broken, _) => (
            Authority {
                current: generate()?,
                next: None,
                old: Vec::new(),
            },
            if broken.is_some() {
                "the Secret was spoilt; there is a new CA"
            } else {
                "there was no CA yet"
            },
        ),
    };

    // A CA of unknown origin replaced ours: trust both until our leaf is signed anew. Amid a rotation other replicas may
    // serve what our old or next CA signed.
    if let Some(memory) = memory
        && !authority.trusted().contains(&&memory.current.certificate)
    {
        let known: Vec<Trusted> = authority.trusted().into_iter().cloned().collect();
        // What signs now comes last: it is the last to be left out.
        let ours = memory
            .old
            .iter()
            .chain(memory.next.iter().map(|next| &next.certificate))
            .chain([&memory.current.certificate])
            .filter(|ours| !known.contains(ours));
        authority.old.extend(ours.cloned());
        reason = "the CA was replaced; the former stays trusted";
    }
    authority.old.retain(alive);
    authority.next.take_if(|next| !alive(&next.certificate));

    let expired = !alive(&authority.current.certificate);
    let known = |next: &Ca| {
        settled && memory.is_some_and(|memory| memory.trusted().contains(&&next.certificate))
    };
    if let Some(next) = authority
        .next
        .take_if(|next| expired || (known(next) && now >= next.certificate.created + times.settle))
    {
        let former = std::mem::replace(&mut authority.current, next);
        authority.old.push(former.certificate);
        authority.old.retain(alive);
        reason = "the next CA signs from now on";
    } else if expired {
        authority.current = generate()?;
        reason = "the CA expired; there is a new one";
    }
    if authority.next.is_none() && now >= due(&authority.current.certificate, times) {
        authority.next = Some(generate()?);
        reason = "the next CA is published";
    }

    let surplus = authority.old.len().saturating_sub(MAX_OLD);
    if surplus > 0 {
        authority.old.drain(..surplus);
        if reason.is_empty() {
            reason = "the oldest of too many former CAs are left out";
        }
    }

    let data = authority.data();
    let right = found.is_some_and(|found| KEYS.iter().all(|key| found.get(*key) == data.get(*key)));
    Ok(if right {
        Plan::Keep(authority)
    } else {
        let reason = if reason.is_empty() {
            "what expired is left out"
        } else {
            reason
        };
        Plan::Store(authority, reason)
    })
}

/// When the successor of a CA is made. One that lives shorter than ours, because somebody brought it or wanted it so before,
/// gets it in time all the same.
fn due(ca: &Trusted, times: &Times) -> Seconds {
    let life = ca.expires - ca.created;
    ca.created + times.rotate_after.min(life * 2 / 3)
}

fn ca(data: &Data, (certificate, key): (&str, &str)) -> Result<Ca, CaError> {
    let part = |name: &str| {
        text(data, name).ok_or_else(|| CaError::Certificate(format!("there is no text at {name}")))
    };
    Ca::read(part(certificate)?, part(key)?)
}

fn text<'d>(data: &'d Data, key: &str) -> Option<&'d str> {
    std::str::from_utf8(data.get(key)?).ok()
}

/// The PEM blocks of a bundle, one by one.
fn pieces(bundle: &str) -> impl Iterator<Item = String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    bundle.split_inclusive(END).filter_map(|piece| {
        let at = piece.find(BEGIN)?;
        Some(format!("{}\n", piece.get(at..)?))
    })
}

#[cfg(test)]
mod tests;
