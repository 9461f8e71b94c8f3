import { Component, type ReactNode } from 'react';
import { asStudioError } from '../stores/connection.ts';
import { note } from '../stores/log.ts';
import { Button } from './Button.tsx';
import { ErrorNote } from './ErrorNote.tsx';

/** Keeps a fault in one part of the page from taking the rest with it. */
export class Boundary extends Component<{ name: string; children: ReactNode }, { thrown: unknown }> {
  override state: { thrown: unknown } = { thrown: null };

  static getDerivedStateFromError(thrown: unknown) {
    return { thrown };
  }

  override componentDidCatch(thrown: unknown): void {
    note(`${this.props.name}: ${asStudioError(thrown).message}`, 'error');
  }

  override render(): ReactNode {
    if (this.state.thrown === null) return this.props.children;
    return (
      <ErrorNote
        error={{
          name: 'PartFailed',
          message: `${this.props.name} could not be drawn: ${asStudioError(this.state.thrown).message}`,
          advice: 'Runs go on, and nothing kept is lost. The log has this line.',
        }}
      >
        <Button size="small" onClick={() => this.setState({ thrown: null })}>
          Try again
        </Button>
      </ErrorNote>
    );
  }
}
