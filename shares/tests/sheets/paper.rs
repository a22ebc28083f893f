//! Sets, their sheets on paper, and other people's readers.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use twotap_shares::{
    Group, Mnemonic, Scheme, Secret,
    sheet::{Paper, Set, draw},
    split,
};

use crate::{damage::Grey, testing::Draw};

/// A set of one group.
pub(crate) fn single(threshold: u8, count: u8) -> (Set, Vec<Mnemonic>) {
    let (set, mut shares) = made(Scheme::single(threshold, count), &[]);
    (set, shares.remove(0))
}

/// 2 of 3 executives or 3 of 5 of the board.
pub(crate) fn groups() -> (Set, Vec<Vec<Mnemonic>>) {
    let group = |threshold, count| Group { threshold, count };
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: 1,
        groups: vec![group(2, 3), group(3, 5)],
    };
    made(scheme, &["executives", "board"])
}

pub(crate) const SECRET: [u8; 32] = *b"an identity that no sheet has...";

fn made(scheme: Scheme, names: &[&str]) -> (Set, Vec<Vec<Mnemonic>>) {
    let secret = Secret::new(&SECRET).expect("32 bytes");
    let shares = split(&secret, b"", &scheme, &mut Draw::new(39)).expect("a scheme");
    let set = Set {
        vault: "prod".to_owned(),
        recipient: "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z".to_owned(),
        signer: "a5".repeat(32),
        made: (2026, 11, 22),
        scheme,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        passphrase: false,
        demo: false,
    };
    (set, shares)
}

/// A sheet's file, and what comes out of it.
pub(crate) struct Printed {
    folder: TempDir,
}

impl Printed {
    pub(crate) fn new(set: &Set, share: &Mnemonic, paper: Paper) -> Self {
        let folder = TempDir::new().expect("a folder");
        let pdf = draw(set, share, paper).expect("a sheet");
        fs::write(folder.path().join("sheet.pdf"), &*pdf).expect("written");
        Self { folder }
    }

    fn pdf(&self) -> PathBuf {
        self.folder.path().join("sheet.pdf")
    }

    /// The page as a printer or a scanner sees it.
    pub(crate) fn page(&self, dpi: u32) -> Grey {
        Grey::from_pgm(&self.picture(dpi, "-gray"))
    }

    /// The page as a picture's file: `-gray`, `-png` or `-jpeg`.
    pub(crate) fn picture(&self, dpi: u32, format: &str) -> Vec<u8> {
        let to = self.folder.path().join("page");
        run(Command::new("pdftoppm")
            .args(["-r", &dpi.to_string(), "-singlefile", format])
            .arg(self.pdf())
            .arg(&to));
        let extension = match format {
            "-gray" => "pgm",
            "-png" => "png",
            _ => "jpg",
        };
        fs::read(to.with_extension(extension)).expect("drawn")
    }

    /// What one of poppler's tools says of it.
    pub(crate) fn told_by(&self, tool: &str, args: &[&str]) -> String {
        let mut command = Command::new(tool);
        command.args(args).arg(self.pdf());
        if tool == "pdftotext" {
            command.arg("-");
        }
        run(&mut command)
    }
}

/// The texts of all codes that `zbarimg` sees.
pub(crate) fn zbar(page: &Grey) -> Vec<String> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("page.pgm");
    fs::write(&file, page.pgm()).expect("written");
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "--nodbus"])
        .arg(&file)
        .stderr(Stdio::null())
        .output()
        .expect("zbarimg, of the Debian package zbar-tools");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}, of the Debian package poppler-utils: {why}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
