//! What the host tells about itself.

use std::path::PathBuf;

/// The environment variables that matter here, passed in. The crate never reads the process's environment: test
/// runners replace the caller's view of it, and reading it while another thread writes is undefined in C.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEnv {
    /// `PATH`.
    pub path: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `VIBEKIT_HOME`.
    pub vibekit_home: Option<PathBuf>,
}

impl HostEnv {
    /// Where state lives: `VIBEKIT_HOME`, else `XDG_STATE_HOME/vibekit`, else `HOME/.local/state/vibekit`. Relative
    /// paths are ignored, as the XDG specification asks.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        absolute(&self.vibekit_home)
            .or_else(|| absolute(&self.xdg_state_home).map(|path| path.join("vibekit")))
            .or_else(|| absolute(&self.home).map(|path| path.join(".local/state/vibekit")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_place_wins_and_relative_ones_do_not_count() {
        let mut env = HostEnv { home: Some("/h".into()), ..HostEnv::default() };
        assert_eq!(env.state_dir(), Some("/h/.local/state/vibekit".into()));
        env.xdg_state_home = Some("/x".into());
        assert_eq!(env.state_dir(), Some("/x/vibekit".into()));
        env.vibekit_home = Some("v".into());
        assert_eq!(env.state_dir(), Some("/x/vibekit".into()));
        env.vibekit_home = Some("/v".into());
        assert_eq!(env.state_dir(), Some("/v".into()));
        assert_eq!(HostEnv::default().state_dir(), None);
    }
}
