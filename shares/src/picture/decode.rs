//! From a file's bytes to shades of grey.

use std::io::Cursor;

use png::{ColorType, Transformations};
use zeroize::Zeroizing;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{LONGEST_SIDE, MOST_BYTES, MOST_PIXELS, PictureError};

/// A picture in shades of grey, 0 for black.
pub(super) struct Grey {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Zeroizing<Vec<u8>>,
}

impl Grey {
    pub(super) fn at(&self, x: usize, y: usize) -> u8 {
        self.pixels.get(y * self.width + x).copied().unwrap_or(255)
    }

    /// The picture in the sizes in which to look for a code, the likeliest first: as large as a page at 150 dpi or so, as it is, smaller
    /// (noise and patterns of screens blur away), and twice as large where it is small.
    pub(super) fn sizes(&self) -> impl Iterator<Item = Grey> {
        const USUAL: usize = 2_000;
        const LARGEST: usize = 24_000_000;
        const SMALLEST: usize = 300;
        let longest = self.width.max(self.height);
        let usual = longest.div_ceil(USUAL).max(1);
        let mut by = vec![usual];
        by.extend((1..=usual + 3).filter(|by| *by != usual));
        by.retain(|by| {
            *by == usual || (self.pixels.len() / (by * by) <= LARGEST && longest / by >= SMALLEST)
        });
        let larger = (longest < USUAL).then(|| self.doubled());
        by.into_iter().map(|by| self.shrunk(by)).chain(larger)
    }

    /// Each `by` times `by` pixels become their mean.
    fn shrunk(&self, by: usize) -> Grey {
        let (width, height) = (self.width / by, self.height / by);
        let mut pixels = Zeroizing::new(Vec::with_capacity(width * height));
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0;
                for row in y * by..(y + 1) * by {
                    let from = row * self.width + x * by;
                    sum += self.pixels[from..from + by]
                        .iter()
                        .map(|p| usize::from(*p))
                        .sum::<usize>();
                }
                pixels.push((sum / (by * by)) as u8);
            }
        }
        Grey {
            width,
            height,
            pixels,
        }
    }

    /// Twice as wide and high; between two pixels stands their mean.
    fn doubled(&self) -> Grey {
        let (width, height) = (self.width * 2, self.height * 2);
        let mut pixels = Zeroizing::new(Vec::with_capacity(width * height));
        for y in 0..height {
            for x in 0..width {
                let near = |x: usize, y: usize| {
                    u16::from(self.at(x.min(self.width - 1), y.min(self.height - 1)))
                };
                let (left, top) = (x / 2, y / 2);
                let (right, bottom) = (left + x % 2, top + y % 2);
                let sum =
                    near(left, top) + near(right, top) + near(left, bottom) + near(right, bottom);
                pixels.push((sum / 4) as u8);
            }
        }
        Grey {
            width,
            height,
            pixels,
        }
    }
}

/// Unpacks a PNG or JPEG file.
pub(super) fn grey(file: &[u8]) -> Result<Grey, PictureError> {
    if file.len() > MOST_BYTES {
        return Err(PictureError::TooLarge);
    }
    match file {
        [0x89, b'P', b'N', b'G', ..] => from_png(file),
        [0xff, 0xd8, ..] => from_jpeg(file),
        // The header may stand after up to a kilobyte of anything (ISO 32000-1, annex H).
        _ if file.windows(5).take(1024).any(|w| w == b"%PDF-") => Err(PictureError::Pdf),
        _ => Err(PictureError::Kind),
    }
}

/// Refuses what is too large before memory is taken for it.
fn fits(width: usize, height: usize) -> Result<usize, PictureError> {
    if width.max(height) > LONGEST_SIDE || width * height > MOST_PIXELS {
        return Err(PictureError::TooLarge);
    }
    if width * height == 0 {
        return Err(PictureError::Broken);
    }
    Ok(width * height)
}

fn from_png(file: &[u8]) -> Result<Grey, PictureError> {
    let broken = |why: png::DecodingError| match why {
        png::DecodingError::LimitsExceeded => PictureError::TooLarge,
        _ => PictureError::Broken,
    };
    // Beside the picture itself: texts, colour profiles.
    const CHUNKS: usize = 8 << 20;
    let limits = png::Limits { bytes: CHUNKS };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let info = decoder.read_header_info().map_err(broken)?;
    let (width, height) = (info.width as usize, info.height as usize);
    fits(width, height)?;
    decoder.set_limits(png::Limits {
        bytes: CHUNKS + MOST_PIXELS * 4,
    });
    let mut reader = decoder.read_info().map_err(broken)?;
    let size = reader.output_buffer_size().ok_or(PictureError::TooLarge)?;
    let mut packed = Zeroizing::new(vec![0; size]);
    let frame = reader.next_frame(&mut packed).map_err(broken)?;
    let pixels = match frame.color_type {
        ColorType::Grayscale => packed,
        ColorType::GrayscaleAlpha => greys(&packed, 2, |p| over_white(p[0], p[1])),
        ColorType::Rgb => greys(&packed, 3, luma),
        ColorType::Rgba => greys(&packed, 4, |p| over_white(luma(p), p[3])),
        // Taken apart by the transformation above.
        ColorType::Indexed => return Err(PictureError::Broken),
    };
    whole(width, height, pixels)
}

fn from_jpeg(file: &[u8]) -> Result<Grey, PictureError> {
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        // A picture that is cut off has its rest in grey otherwise, and it would be the code that is blamed.
        .set_strict_mode(true)
        .set_max_width(LONGEST_SIDE)
        .set_max_height(LONGEST_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|_| PictureError::Broken)?;
    let info = decoder.info().ok_or(PictureError::Broken)?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    fits(width, height)?;
    let pixels = Zeroizing::new(decoder.decode().map_err(|_| PictureError::Broken)?);
    whole(width, height, pixels)
}

fn whole(width: usize, height: usize, pixels: Zeroizing<Vec<u8>>) -> Result<Grey, PictureError> {
    if fits(width, height)? != pixels.len() {
        return Err(PictureError::Broken);
    }
    Ok(Grey {
        width,
        height,
        pixels,
    })
}

fn greys(packed: &[u8], each: usize, grey: impl Fn(&[u8]) -> u8) -> Zeroizing<Vec<u8>> {
    let mut pixels = Zeroizing::new(Vec::with_capacity(packed.len() / each));
    pixels.extend(packed.chunks_exact(each).map(grey));
    pixels
}

/// How bright it looks (ITU-R BT.601).
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [0, 1, 2].map(|n| u32::from(pixel[n]));
    ((299 * r + 587 * g + 114 * b) / 1000) as u8
}

/// Where a picture is transparent, paper is behind it.
fn over_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha)) / 255) as u8
}
