//! Which files say what halls and rooms there are. Never here: what is in them.

use std::path::PathBuf;

use super::values::Values;

/// Which files are read at the start.
#[derive(Clone, Debug)]
pub struct Halls {
    /// A folder of layouts.
    pub layouts_dir: Option<PathBuf>,
    /// A file of rooms.
    pub rooms_file: Option<PathBuf>,
}

impl Halls {
    pub(super) fn read(values: &Values) -> Result<Self, String> {
        let path = |name| values.read(name, |text| Some(PathBuf::from(text)));
        Ok(Self { layouts_dir: path("LAYOUTS_DIR")?, rooms_file: path("ROOMS_FILE")? })
    }
}
