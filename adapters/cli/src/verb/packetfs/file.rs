//! Files as blobs: read where the core asks.

use crate::exit::Fault;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use stillwire_core::packetfs::{Blob, Missing};

/// A stretch of a file.
pub(super) struct FileBlob {
    file: File,
    start: u64,
    size: u64,
}

impl FileBlob {
    /// The whole file, as large as it is now.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let cannot = |error| Fault::file(&format!("cannot read {}", path.display()), &error);
        let file = File::open(path).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        Ok(Self {
            file,
            start: 0,
            size,
        })
    }

    /// So many bytes of it from `start` on.
    pub(super) fn stretch(&self, start: u64, size: u64) -> Result<Self, Fault> {
        let file = self.file.try_clone();
        Ok(Self {
            file: file.map_err(|error| Fault::file("cannot read the file", &error))?,
            start: self.start + start,
            size,
        })
    }
}

impl Blob for FileBlob {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + offset))
            .and_then(|_| file.read_exact(out))
            .map_err(|_| Missing)
    }
}
