//! A secret of the server that outlives its process: 16 random bytes in a file that only its user may read.
//!
//! Holds keep addresses as hashes under this secret. A reader of the store alone learns no address, and a later process
//! still knows which client came from where. Never here: what is hashed; the source of randomness.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::embedded::make_data_dir;

const NAME: &str = "addresses.key";

/// The secret of this directory; `fresh` from the first start on.
///
/// # Errors
/// When there is none and none can be written, or what is there is not one.
pub fn keep(dir: &Path, fresh: [u64; 2]) -> io::Result<[u64; 2]> {
    let path = dir.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => read(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not 16 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(dir, &path, fresh),
        Err(error) => Err(error),
    }
}

/// Written beside its place and moved there: a start that is cut off leaves none or a whole one.
fn write(dir: &Path, path: &Path, fresh: [u64; 2]) -> io::Result<[u64; 2]> {
    make_data_dir(dir)?;
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    fresh.iter().try_for_each(|half| file.write_all(&half.to_le_bytes()))?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(fresh)
}

fn read(bytes: &[u8]) -> Option<[u64; 2]> {
    let (halves, []) = bytes.as_chunks::<8>() else { return None };
    let &[first, second] = halves else { return None };
    Some([u64::from_le_bytes(first), u64::from_le_bytes(second)])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{NAME, keep};

    #[test]
    fn it_stays_what_it_was_at_the_first_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        assert_eq!(keep(&data, [1, 2]).expect("it is written"), [1, 2]);
        assert_eq!(keep(&data, [3, 4]).expect("it is read"), [1, 2]);
        let mode = fs::metadata(data.join(NAME)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(data.join(NAME), b"short").expect("a file");
        assert!(keep(&data, [3, 4]).is_err(), "another one would lose who came from where without a word");
    }
}
