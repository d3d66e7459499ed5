//! Root certificates: Mozilla's as shipped in the binary, and those of an authority of one's own.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The certificates of a PEM file that can be roots, as DER: [`NetConfig::extra_roots`](crate::NetConfig). Bundles often have
/// some that cannot.
///
/// # Errors
/// Why the file cannot be read, or that none of its certificates can be a root, in plain words.
pub fn read_roots(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let (mut found, mut refused) = (Vec::new(), None);
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        match RootCertStore::empty().add(certificate.clone()) {
            Ok(()) => found.push(certificate.as_ref().to_vec()),
            Err(error) => refused = Some(format!("a certificate in it cannot be a root: {error}")),
        }
    }
    if found.is_empty() {
        return Err(refused
            .unwrap_or_else(|| "there is no certificate in it (`-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(found)
}

/// The public roots and further ones (DER).
pub(crate) fn root_store(further: &[Vec<u8>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in further {
        roots
            .add(root.clone().into())
            .map_err(|error| format!("a further root certificate cannot be used: {error}"))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_certificates_are_read_and_others_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(read_roots(&path).unwrap_err().contains("No such file"));
        let made = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap().cert;
        let two = format!("An authority\n{}\n{}", made.pem(), made.pem());
        for (text, want) in [
            ("", "no certificate"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be a root"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "end"),
        ] {
            std::fs::write(&path, text).unwrap();
            let said = read_roots(&path).unwrap_err();
            assert!(said.contains(want), "{text:?}: {said}");
        }
        std::fs::write(&path, format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{two}"))
            .unwrap();
        assert_eq!(read_roots(&path).unwrap(), vec![made.der().to_vec(); 2]);
    }
}
