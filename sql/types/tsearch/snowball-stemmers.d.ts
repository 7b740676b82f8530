/** The part of npm's snowball-stemmers that is used here. */
declare module 'snowball-stemmers' {
  const stemmers: {
    newStemmer(language: string): { stem(word: string): string }
    algorithms(): string[]
  }
  export default stemmers
}
