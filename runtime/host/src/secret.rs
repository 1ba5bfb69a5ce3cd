//! What the nodes of a cluster know and nobody else does.
//!
//! The secret itself never travels: each end of a connection proves that it knows it (see
//! `network::handshake`). Whoever listens in on a proof can try guesses against it at leisure, so a
//! secret is made by a machine and not thought up: `head -c 32 /dev/urandom | base64`.

use std::{fmt, fs, io::Read as _, path::Path, sync::Arc};

use crate::HostError;

/// The shortest secret, in bytes.
const SIZE_MIN: usize = 16;
/// The longest secret, in bytes.
const SIZE_MAX: usize = 4 << 10;

/// The shared secret of a cluster, 16 bytes to 4 KiB. Shows itself to nobody, not even when printed.
///
/// # Examples
///
/// ```
/// # use floodmark_host as floodmark;
/// use floodmark::Secret;
///
/// let secret = Secret::from_bytes(b"0123456789abcdef").expect("it is long enough");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(Secret::from_bytes(b"too short").is_err());
/// ```
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Returns the secret in a file: its bytes, without white space at either end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds too few bytes or too many. A file that others than its
    /// owner can read is no error; it is logged.
    pub fn read(path: &Path) -> Result<Self, HostError> {
        let refused = |reason: String| HostError::Secret { path: path.to_owned(), reason };
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| refused(error.to_string()))?;
        warn_if_open_to_others(path, &file);
        file.take(SIZE_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(error.to_string()))?;
        Self::from_bytes(bytes.trim_ascii()).map_err(refused)
    }

    /// Returns the secret that consists of these bytes.
    ///
    /// # Errors
    ///
    /// The reason, in words, when they are fewer than 16 or more than 4096.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let size = bytes.len();
        if (SIZE_MIN..=SIZE_MAX).contains(&size) {
            Ok(Self(bytes.into()))
        } else {
            Err(format!("it has {size} bytes; a secret has {SIZE_MIN} to {SIZE_MAX}"))
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(unix)]
fn warn_if_open_to_others(path: &Path, file: &fs::File) {
    use std::os::unix::fs::MetadataExt as _;

    const OTHERS: u32 = 0o077;
    if file.metadata().is_ok_and(|metadata| metadata.mode() & OTHERS != 0) {
        tracing::warn!(path = %path.display(), "others than the owner can read the secret");
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_: &Path, _: &fs::File) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_the_white_space_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "\n  0123456789 abcdef\r\n").unwrap();
        assert_eq!(Secret::read(&path).unwrap().bytes(), b"0123456789 abcdef");
    }

    #[test]
    fn a_secret_that_is_missing_too_short_or_too_long_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let refusal = || Secret::read(&path).unwrap_err().to_string();
        assert!(refusal().contains("secret: No such file"), "{}", refusal());
        fs::write(&path, "0123456789abcde\n").unwrap();
        assert!(refusal().contains("it has 15 bytes"), "{}", refusal());
        fs::write(&path, vec![b'x'; 5_000]).unwrap();
        assert!(refusal().contains("it has 4097 bytes"), "{}", refusal());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::from_bytes(b"0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
