//! Sheets as people get them: drawn, printed, photographed, read back by two readers, and looked through for what must not stand there.
//!
//! Needs `zbarimg` (zbar-tools) and `pdftoppm`, `pdftotext`, `pdffonts`, `pdfinfo` (poppler-utils).

#[path = "sheets/damage.rs"]
mod damage;
#[path = "sheets/hostile.rs"]
mod hostile;
#[path = "sheets/paper.rs"]
mod paper;
#[path = "../src/testing.rs"]
#[allow(dead_code)]
mod testing;
#[path = "sheets/text.rs"]
mod text;

use twotap_shares::{
    Mnemonic, picture,
    sheet::{Paper, qr_text},
};

use damage::{Damage, Grey};
use paper::{Printed, single};

const PAPERS: [Paper; 2] = [Paper::A4, Paper::Letter];

#[test]
fn zbar_reads_the_code_from_72_to_300_dpi_on_both_papers() {
    let (set, shares) = single(3, 5);
    for (paper, share) in PAPERS.into_iter().zip(&shares) {
        let printed = Printed::new(&set, share, paper);
        for dpi in [72, 100, 150, 300] {
            let read = paper::zbar(&printed.page(dpi));
            assert!(
                read == [qr_text(share).to_string()],
                "{paper:?} at {dpi} dpi: {} codes",
                read.len()
            );
        }
    }
}

#[test]
fn our_reader_reads_png_and_jpeg_from_100_dpi_on_both_papers() {
    let (set, shares) = single(3, 5);
    for (paper, share) in PAPERS.into_iter().zip(&shares) {
        let printed = Printed::new(&set, share, paper);
        for (dpi, format) in [
            (100, "-png"),
            (120, "-jpeg"),
            (150, "-png"),
            (200, "-jpeg"),
            (300, "-png"),
        ] {
            let file = printed.picture(dpi, format);
            let read = picture::read(&file)
                .unwrap_or_else(|why| panic!("{paper:?} at {dpi} dpi, {format}: {why}"));
            assert!(read.expose() == share.expose());
        }
    }
}

/// What happens to paper, and to pictures of it.
const DAMAGE: [Damage; 9] = [
    Damage::Noise(45),
    Damage::Blur(1),
    Damage::Light,
    Damage::Perspective(0.10),
    Damage::Turned(180.0),
    Damage::Turned(8.0),
    Damage::Stain,
    Damage::Pen,
    Damage::Fold,
];

#[test]
fn both_readers_read_a_sheet_that_has_lived() {
    let (set, shares) = single(3, 5);
    let share = &shares[1];
    let printed = Printed::new(&set, share, Paper::A4);
    let mut unread = Vec::new();
    let page = printed.page(150);
    for damage in DAMAGE {
        let damaged = damage.done_to(&page, 150);
        let what = format!("{damage:?}");
        unread.extend(unread_by_ours(&damaged, share, &what));
        unread.extend(unread_by_zbar(&damaged, share, &what));
    }
    assert!(unread.is_empty(), "{unread:#?}");
}

#[test]
fn our_reader_reads_a_sheet_with_all_of_it_together() {
    let (set, shares) = single(3, 5);
    let share = &shares[2];
    let printed = Printed::new(&set, share, Paper::Letter);
    let mut page = printed.page(200);
    let mut unread = Vec::new();
    // Each on top of those before.
    for damage in [
        Damage::Fold,
        Damage::Pen,
        Damage::Light,
        Damage::Turned(3.0),
        Damage::Blur(1),
        Damage::Noise(30),
    ] {
        page = damage.done_to(&page, 200);
        unread.extend(unread_by_ours(&page, share, &format!("with {damage:?}")));
    }
    assert!(unread.is_empty(), "{unread:#?}");
}

fn unread_by_ours(page: &Grey, share: &Mnemonic, what: &str) -> Option<String> {
    match picture::read(&page.png()) {
        Ok(read) => {
            assert!(read.expose() == share.expose(), "{what}: misread");
            None
        }
        Err(why) => Some(format!("{what}: {why}")),
    }
}

fn unread_by_zbar(page: &Grey, share: &Mnemonic, what: &str) -> Option<String> {
    let read = paper::zbar(page);
    let fine = read == [qr_text(share).to_string()];
    (!fine).then(|| format!("{what}: zbarimg reads {} codes", read.len()))
}
