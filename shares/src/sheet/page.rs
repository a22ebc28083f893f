//! The page, from top to bottom.

use krilla::{
    Document, SerializeSettings,
    configure::{Archival, ConfigurationBuilder},
    geom::Size,
    metadata::{DateTime, Metadata},
    page::PageSettings,
};
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};
use zeroize::Zeroizing;

use super::{
    AGE_KEY_PY, Paper, Set, SheetError,
    draw::{BLACK, GREY, LINE, PALE, PAPER, Pen},
    fonts::Typefaces,
    qr_text, text,
};
use crate::{Group, Mnemonic};

/// Points a millimetre.
const MM: f32 = 72.0 / 25.4;
/// White on every side: what printers leave and fingers hold.
const MARGIN: f32 = 16.0 * MM;
/// The words: three columns.
const COLUMNS: usize = 3;
/// Sizes of type: running text, the seven lines, commands.
const TEXT: f32 = 9.0;
const CODE: f32 = 7.5;
const COMMAND: f32 = 8.6;
/// Which share it is, beside the title.
const PLACE: f32 = 14.0;
/// How far the steps' text stands in from their numbers.
const INDENT: f32 = 13.0;
/// The QR code's width: 0.95 mm a module at version 11.
const QR: f32 = 58.0 * MM;

/// The paper's size in points.
fn size(paper: Paper) -> (f32, f32) {
    match paper {
        Paper::A4 => (210.0 * MM, 297.0 * MM),
        Paper::Letter => (8.5 * 72.0, 11.0 * 72.0),
    }
}

pub(super) fn draw(
    set: &Set,
    index: usize,
    group: &Group,
    share: &Mnemonic,
    paper: Paper,
) -> Result<Zeroizing<Vec<u8>>, SheetError> {
    let (width, height) = size(paper);
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_B)
        .finish()
        .map_err(|_| SheetError::Pdf)?;
    let mut document = Document::new_with(SerializeSettings {
        configuration,
        ..SerializeSettings::default()
    });
    let (year, month, day) = set.made;
    document.set_metadata(
        Metadata::new()
            .title(format!("Recovery share of vault {}", set.vault))
            .language("en".to_owned())
            .creation_date(
                DateTime::new(year)
                    .month(month)
                    .day(day)
                    .hour(0)
                    .minute(0)
                    .second(0)
                    .utc_offset_hour(0),
            ),
    );
    let faces = Typefaces::load()?;
    let settings = PageSettings::new(Size::from_wh(width, height).ok_or(SheetError::Pdf)?);
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    let mut sheet = Sheet {
        pen: Pen {
            surface: &mut surface,
        },
        faces: &faces,
        left: MARGIN,
        right: width - MARGIN,
    };
    let name = set.names.get(index).map(String::as_str);
    if set.demo {
        sheet
            .pen
            .watermark((width / 2.0, height / 2.0), &faces.bold, 190.0, "DEMO")?;
    }
    let y = sheet.head(set, group, share, name)?;
    let y = sheet.words_and_code(y, share)?;
    let y = sheet.procedure(y, set)?;
    sheet.foot(y, height - MARGIN, set)?;
    surface.finish();
    page.finish();
    document
        .finish()
        .map(Zeroizing::new)
        .map_err(|_| SheetError::Pdf)
}

struct Sheet<'a, 's, 'p> {
    pen: Pen<'s, 'p>,
    faces: &'a Typefaces,
    left: f32,
    right: f32,
}

impl Sheet<'_, '_, '_> {
    /// What it is, for which vault, which share; the set's fingerprint and recipient.
    fn head(
        &mut self,
        set: &Set,
        group: &Group,
        share: &Mnemonic,
        name: Option<&str>,
    ) -> Result<f32, SheetError> {
        let (faces, left, right) = (self.faces, self.left, self.right);
        let mut y = MARGIN + 16.0;
        let title = self
            .pen
            .text(left, y, &faces.bold, 21.0, "Recovery share", BLACK)?;
        let place = text::place(share.share().member_index, group, name);
        // A group with a long name takes a smaller size, never the title's place.
        let room = right - title - 24.0;
        let width = faces
            .bold
            .width(&place, PLACE)
            .ok_or(SheetError::Text("group's name"))?;
        let size = PLACE.min(PLACE * room / width);
        self.pen
            .text_left_of(right, y, &faces.bold, size, &place, BLACK)?;
        y += 9.0;
        self.pen.bar(left, y, right - left, 1.4, BLACK)?;
        y += 17.0;
        y = self.pen.paragraph(
            (left, y),
            right - left,
            &faces.text,
            10.0,
            &text::what(set, group, name),
        )?;
        y += 5.0;
        let (year, month, day) = set.made;
        let passphrase = if set.passphrase {
            "needed besides the words; it is on no sheet"
        } else {
            "none"
        };
        for (what, value, mono) in [
            ("vault", set.vault.clone(), false),
            ("set", set.fingerprint(), true),
            ("made on", format!("{year:04}-{month:02}-{day:02}"), true),
            ("passphrase", passphrase.to_owned(), false),
            ("recipient", set.recipient.clone(), true),
        ] {
            self.pen.text(left, y, &faces.text, 8.6, what, GREY)?;
            let face = if mono { &faces.mono } else { &faces.text };
            let ends = self.pen.text(left + 62.0, y, face, 9.0, &value, BLACK)?;
            if ends > right {
                return Err(SheetError::Text("vault's name or recipient"));
            }
            y += 12.6;
        }
        Ok(y + 4.0)
    }

    /// The words in a numbered grid, and the same in a QR code beside them.
    fn words_and_code(&mut self, top: f32, share: &Mnemonic) -> Result<f32, SheetError> {
        let (faces, left, right) = (self.faces, self.left, self.right);
        let words: Vec<&str> = share.expose().split(' ').collect();
        let rows = words.len().div_ceil(COLUMNS);
        let grid = right - left - QR - 14.0;
        let column = grid / COLUMNS as f32;
        let height = QR.max(rows as f32 * 15.0);
        let step = height / rows as f32;
        for (n, word) in words.iter().enumerate() {
            let x = left + (n / rows) as f32 * column;
            let y = top + (n % rows) as f32 * step + step * 0.68;
            self.pen
                .text_left_of(x + 13.0, y, &faces.text, 7.0, &(n + 1).to_string(), GREY)?;
            self.pen.text(
                x + 18.0,
                y,
                &faces.mono_bold,
                11.0,
                &word.to_ascii_uppercase(),
                BLACK,
            )?;
            if n % rows + 1 < rows {
                self.pen.bar(
                    x,
                    top + (n % rows + 1) as f32 * step,
                    column - 6.0,
                    0.35,
                    PALE,
                )?;
            }
        }
        let text = qr_text(share);
        let code = QrCode::encode_segments_advanced(
            &[QrSegment::make_alphanumeric(&text)],
            QrCodeEcc::Quartile,
            Version::MIN,
            Version::MAX,
            None,
            false,
        )
        .map_err(|_| SheetError::Pdf)?;
        let side = code.size();
        let module = QR / side as f32;
        // Nothing shines through it.
        self.pen
            .bar(right - QR - 8.0, top - 8.0, QR + 16.0, QR + 16.0, PAPER)?;
        self.pen.squares(right - QR, top, module, runs(&code))?;
        let caption = "the same words once more, for a machine";
        self.pen
            .text_left_of(right, top + QR + 10.0, &faces.text, 7.0, caption, GREY)?;
        Ok(top + height + 15.0)
    }

    /// What to do with it, and how to open the vault with other people's tools.
    fn procedure(&mut self, top: f32, set: &Set) -> Result<f32, SheetError> {
        let (faces, left, right) = (self.faces, self.left, self.right);
        let mut y = self.heading(top, "Keeping it")?;
        for line in text::KEEPING {
            self.pen
                .text(left, y, &faces.text, TEXT, "\u{2013}", GREY)?;
            y = self.pen.paragraph(
                (left + INDENT, y),
                right - left - INDENT,
                &faces.text,
                TEXT,
                line,
            )?;
        }
        y = self.heading(y + 6.0, "Opening the vault")?;
        for (n, step) in text::opening(set.passphrase).iter().enumerate() {
            self.pen
                .text(left, y, &faces.bold, TEXT, &(n + 1).to_string(), BLACK)?;
            y = self.pen.paragraph(
                (left + INDENT, y),
                right - left - INDENT,
                &faces.text,
                TEXT,
                step.what,
            )?;
            if step.typed.is_empty() {
                y = self.typed(y, CODE, AGE_KEY_PY.lines())?;
            } else {
                y = self.typed(y, COMMAND, step.typed.iter().copied())?;
            }
        }
        Ok(y)
    }

    /// What is typed, letter by letter, beside a rule.
    fn typed<'l>(
        &mut self,
        y: f32,
        size: f32,
        lines: impl Iterator<Item = &'l str>,
    ) -> Result<f32, SheetError> {
        let (x, mut at) = (self.left + INDENT, y + 1.0);
        for line in lines {
            let ends = self
                .pen
                .text(x + 8.0, at, &self.faces.mono, size, line, BLACK)?;
            if ends > self.right {
                return Err(SheetError::Text("procedure"));
            }
            at += size * 1.3;
        }
        self.pen
            .bar(x, y + 1.0 - size, 0.9, at - y - 1.0 + size * 0.1, LINE)?;
        Ok(at + 4.5)
    }

    fn heading(&mut self, y: f32, title: &str) -> Result<f32, SheetError> {
        self.pen
            .text(self.left, y + 4.0, &self.faces.bold, 10.0, title, BLACK)?;
        Ok(y + 18.0)
    }

    /// Who has it, and when it was looked at.
    fn foot(&mut self, y: f32, bottom: f32, set: &Set) -> Result<(), SheetError> {
        let (faces, left, right) = (self.faces, self.left, self.right);
        let line = bottom - 22.0;
        if y > line - 22.0 {
            return Err(SheetError::Text("procedure"));
        }
        let quarter = (right - left + 10.0) / 4.0;
        for (n, what) in [
            "holder",
            "received on, signature",
            "checked on",
            "checked on",
        ]
        .iter()
        .enumerate()
        {
            let x = left + n as f32 * quarter;
            self.pen.bar(x, line, quarter - 10.0, 0.6, LINE)?;
            self.pen.text(x, line + 9.0, &faces.text, 7.0, what, GREY)?;
        }
        let end = format!("set {}", set.fingerprint());
        self.pen.text(
            left,
            bottom + 4.0,
            &faces.text,
            7.0,
            "twotap recovery sheet, format 1",
            GREY,
        )?;
        self.pen
            .text_left_of(right, bottom + 4.0, &faces.mono, 7.0, &end, GREY)
    }
}

/// Dark modules, each run of a row as one rectangle: column, row, length.
fn runs(code: &QrCode) -> impl Iterator<Item = (u16, u16, u16)> {
    let side = code.size();
    let mut runs = Vec::new();
    for row in 0..side {
        let mut column = 0;
        while column < side {
            let length = (column..side)
                .take_while(|c| code.get_module(*c, row))
                .count() as i32;
            if length > 0 {
                runs.push((column as u16, row as u16, length as u16));
            }
            column += length.max(1);
        }
    }
    runs.into_iter()
}
