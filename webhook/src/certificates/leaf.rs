//! The certificate of one replica: signed here, kept in memory, gone with the process.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::PrivateKeyDer;

use super::Seconds;
use super::authority::{Authority, Times};
use super::ca::{BACKDATED, Ca, CaError, time};
use super::pair::{Pair, PairError};

/// When a leaf was signed, by whom, and until when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The CA's certificate.
    pub ca: String,
    /// When it was signed.
    pub created: Seconds,
    /// When it ends.
    pub expires: Seconds,
}

/// A leaf that can't be signed.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The CA doesn't.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// rustls doesn't take it.
    #[error(transparent)]
    Pair(#[from] PairError),
}

impl Leaf {
    /// Signs a leaf with a P-256 key for these DNS names. It never outlives its CA.
    pub fn sign(
        ca: &Ca,
        names: &[String],
        now: Seconds,
        lifetime: Seconds,
    ) -> Result<(Self, Pair), LeafError> {
        let key = KeyPair::generate().map_err(CaError::from)?;
        let mut params = CertificateParams::new(names).map_err(CaError::from)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = names.first() {
            params
                .distinguished_name
                .push(DnType::CommonName, name.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let expires = now.saturating_add(lifetime).min(ca.certificate.expires);
        params.not_before = time(now - BACKDATED)?;
        params.not_after = time(expires)?;
        let certificate = params
            .signed_by(&key, &ca.issuer()?)
            .map_err(CaError::from)?;
        let der = PrivateKeyDer::Pkcs8(key.into());
        let pair = Pair::of(vec![certificate.into()], der)?;
        let leaf = Self {
            ca: ca.certificate.pem.clone(),
            created: now,
            expires,
        };
        Ok((leaf, pair))
    }
}

/// Whether a replica must sign itself another leaf.
///
/// With another CA only after whoever calls had time to learn of it, unless nobody would trust the present leaf either.
pub fn is_due(leaf: Option<&Leaf>, authority: &Authority, settled: bool, now: Seconds) -> bool {
    let Some(leaf) = leaf else {
        return true;
    };
    let old = now >= leaf.created + (leaf.expires - leaf.created) * 2 / 3;
    // The clock was set back: what was signed before begins in the future.
    let early = now < leaf.created - BACKDATED;
    let lost = !authority
        .trusted()
        .iter()
        .any(|trusted| trusted.pem == leaf.ca);
    let foreign = leaf.ca != authority.current.certificate.pem;
    if foreign {
        settled || lost || early || now >= leaf.expires
    } else {
        old || early
    }
}

/// Signs what is due.
pub fn renew(
    leaf: Option<&Leaf>,
    authority: &Authority,
    settled: bool,
    names: &[String],
    now: Seconds,
    times: &Times,
) -> Result<Option<(Leaf, Pair)>, LeafError> {
    if !is_due(leaf, authority, settled, now) {
        return Ok(None);
    }
    Leaf::sign(&authority.current, names, now, times.leaf_lifetime).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000;

    fn authority() -> Authority {
        Authority {
            current: Ca::generate(NOW, 1000).unwrap(),
            next: None,
            old: Vec::new(),
        }
    }

    fn leaf(authority: &Authority) -> Leaf {
        let names = ["natsguard.natsguard.svc".to_owned()];
        Leaf::sign(&authority.current, &names, NOW, 300).unwrap().0
    }

    #[test]
    fn a_leaf_never_outlives_its_ca() {
        let authority = authority();
        let names = ["a.b.svc".to_owned()];
        let (leaf, pair) = Leaf::sign(&authority.current, &names, NOW + 900, 300).unwrap();
        assert_eq!(leaf.expires, NOW + 1000);
        assert_eq!(pair.expires, NOW + 1000);
    }

    #[test]
    fn a_leaf_is_renewed_at_two_thirds_of_its_life() {
        let authority = authority();
        let leaf = leaf(&authority);
        assert!(is_due(None, &authority, false, NOW));
        assert!(!is_due(Some(&leaf), &authority, true, NOW + 199));
        assert!(is_due(Some(&leaf), &authority, true, NOW + 200));
    }

    #[test]
    fn a_leaf_that_is_not_valid_yet_is_renewed() {
        let authority = authority();
        let leaf = leaf(&authority);
        // The clock was ahead when it was signed, and has been set right.
        assert!(!is_due(Some(&leaf), &authority, true, NOW - 60));
        assert!(is_due(Some(&leaf), &authority, true, NOW - BACKDATED - 1));
    }

    #[test]
    fn another_ca_signs_only_once_it_is_known() {
        let mut authority = authority();
        let leaf = leaf(&authority);
        let next = Ca::generate(NOW + 1, 1000).unwrap();
        let first = std::mem::replace(&mut authority.current, next);
        authority.old.push(first.certificate);
        assert!(!is_due(Some(&leaf), &authority, false, NOW + 250));
        assert!(is_due(Some(&leaf), &authority, true, NOW + 10));
        assert!(is_due(Some(&leaf), &authority, false, NOW + 300));
        authority.old.clear();
        assert!(is_due(Some(&leaf), &authority, false, NOW + 10));
    }
}
