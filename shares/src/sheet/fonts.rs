//! B612 for what is read: drawn for cockpits, legible in bad light. JetBrains Mono for what is typed: 0 and O, 1 and l, ( and [ are told apart.
//! Both under the SIL Open Font License 1.1, without reserved names (`fonts/OFL.txt`).

use krilla::text::{Font, GlyphId, KrillaGlyph};
use ttf_parser::Face;

use super::SheetError;

/// A typeface: to draw with and to measure with.
pub(super) struct Typeface {
    pub(super) font: Font,
    face: Face<'static>,
}

/// The four that a sheet is set in.
pub(super) struct Typefaces {
    pub(super) text: Typeface,
    pub(super) bold: Typeface,
    pub(super) mono: Typeface,
    pub(super) mono_bold: Typeface,
}

impl Typefaces {
    pub(super) fn load() -> Result<Self, SheetError> {
        Ok(Self {
            text: Typeface::load(include_bytes!("../../fonts/B612-Regular.otf"))?,
            bold: Typeface::load(include_bytes!("../../fonts/B612-Bold.otf"))?,
            mono: Typeface::load(include_bytes!("../../fonts/JetBrainsMono-Regular.ttf"))?,
            mono_bold: Typeface::load(include_bytes!("../../fonts/JetBrainsMono-Bold.ttf"))?,
        })
    }
}

impl Typeface {
    fn load(bytes: &'static [u8]) -> Result<Self, SheetError> {
        Ok(Self {
            font: Font::new(bytes.to_vec().into(), 0).ok_or(SheetError::Pdf)?,
            face: Face::parse(bytes, 0).map_err(|_| SheetError::Pdf)?,
        })
    }

    /// Width in points; `None` where a character is not in the typeface.
    pub(super) fn width(&self, text: &str, size: f32) -> Option<f32> {
        let glyphs = self.glyphs(text)?;
        Some(glyphs.iter().map(|g| g.x_advance).sum::<f32>() * size)
    }

    /// One glyph a character: no ligatures, which would hide what has to be typed.
    pub(super) fn glyphs(&self, text: &str) -> Option<Vec<KrillaGlyph>> {
        let em = f32::from(self.face.units_per_em());
        let mut glyphs = Vec::with_capacity(text.len());
        for (start, c) in text.char_indices() {
            let glyph = self.face.glyph_index(c)?;
            let advance = f32::from(self.face.glyph_hor_advance(glyph)?) / em;
            let range = start..start + c.len_utf8();
            let id = GlyphId::new(u32::from(glyph.0));
            glyphs.push(KrillaGlyph::new(id, advance, 0.0, 0.0, 0.0, range, None));
        }
        Some(glyphs)
    }
}
