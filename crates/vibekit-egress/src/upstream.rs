//! A proxy of the user's own network that has to be passed to get out.

use crate::PolicyError;

/// A proxy all traffic to the outside goes through, with the destinations that bypass it.
#[derive(Clone)]
pub struct UpstreamProxy {
    _private: (),
}

impl UpstreamProxy {
    /// From the values of `HTTPS_PROXY` and `NO_PROXY` (empty for unset). `Ok(None)` when no proxy is configured.
    ///
    /// # Errors
    ///
    /// When the proxy's URL cannot be used.
    pub fn from_values(https_proxy: &str, _no_proxy: &str) -> Result<Option<Self>, PolicyError> {
        Ok((!https_proxy.is_empty()).then_some(Self { _private: () }))
    }
}
