use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use vibekit_core::{Error, Result};

use crate::Settings;

/// Variables that name files of further certificate authorities: Node's and OpenSSL's.
const BUNDLES: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

/// TLS for clients: the platform's certificate authorities and those the environment adds.
///
/// # Errors
///
/// `INVALID_ARGUMENT` that names the variable, when a file of certificates is missing or is none.
pub fn client_config(settings: &Settings) -> Result<ClientConfig> {
    let mut extra = Vec::new();
    for variable in BUNDLES {
        let Some(path) = (settings.env)(variable).filter(|path| !path.is_empty()) else { continue };
        extra.extend(bundle(variable, &path)?);
    }
    let provider = Arc::new(ring::default_provider());
    let broken = |error: rustls::Error| {
        Error::invalid("TLS", format!("cannot be set up: {error}"), "Check the certificates of this machine.")
    };
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone()).map_err(broken)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn bundle(variable: &str, path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |problem: String| {
        Error::invalid(variable, problem, "Name a PEM file of certificates, or unset the variable.")
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unusable(format!("names {path}, which cannot be read: {error}")))?
        .collect();
    let certificates =
        certificates.map_err(|error| unusable(format!("names {path}, which is no PEM file: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable(format!("names {path}, which holds no certificate")));
    }
    Ok(certificates)
}

/// Whether a failure is TLS's. I/O errors hold it one in the other, and do not tell of it as their source.
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || inner.is_some_and(|inner| is_tls(inner))
        || error.source().is_some_and(is_tls)
}
